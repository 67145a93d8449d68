// What serve.py measures of served models; its docstring says what for. OP_LIBRARIES as in served.h.
//
//     serve load MODEL_DIR
//     serve watch STOP_FILE ANSWERS FOLDER...
//     serve cobatch ALONE_DIR TOGETHER_DIR REQUESTS BATCHES SEED texts|ids|joined
//     serve clients MODEL_DIR REQUESTS THREADS SECONDS RATE
//
// All print lines of JSON.

#include <filesystem>
#include <fstream>

#include "serve_clients.h"
#include "serve_cobatch.h"
#include "served.h"

// A value of /proc/self/status in MB, such as the largest resident size.
double Resident(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string name; file >> name; file.ignore(1000, '\n'))
    if (name == key + ":") {
      double kilobytes = 0;
      file >> kilobytes;
      return kilobytes / 1024;
    }
  return 0;
}

// How long a model takes to load, and the memory the process had at most, before and after.
void LoadOnce(const std::string& folder) {
  const double before = Resident("VmHWM"), started = served::Now();
  tensorflow::SavedModelBundle model;
  served::Check(served::Load(folder, &model));
  std::printf("{\"seconds\": %.4f, \"before_mb\": %.1f, \"peak_mb\": %.1f, \"resident_mb\": %.1f}\n",
              served::Now() - started, before, Resident("VmHWM"), Resident("VmRSS"));
}

// The highest number that a folder within has for its name; "" where there is none.
std::string Newest(const std::string& folder) {
  std::string newest;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename();
    const bool is_number = name.find_first_not_of("0123456789") == std::string::npos;
    if (is_number && (newest.empty() || std::stol(name) > std::stol(newest))) newest = name;
  }
  return newest;
}

// Loads the newest version of each folder again and again, as a server that starts at any instant would, and
// asks it the first warm-up request of each signature. Prints a line a load; ANSWERS gets the answers.
void Watch(const std::string& stop_file, const std::string& answers_file,
           const std::vector<std::string>& folders) {
  served::Answers answers(answers_file);
  for (bool is_last = false, was_last = false; !was_last; was_last = is_last) {
    is_last = std::filesystem::exists(stop_file);  // one more round then: the last version too
    for (const std::string& folder : folders) {
      const std::string version = Newest(folder);
      if (version.empty()) continue;
      tensorflow::SavedModelBundle model;
      std::vector<served::Request> warm_up;
      absl::Status status = served::Load(folder + "/" + version, &model);
      if (status.ok()) status = served::ReadWarmUp(folder + "/" + version, &warm_up);
      std::string signatures, last;
      for (const served::Request& request : warm_up) {
        served::NamedTensors answer;
        if (!status.ok() || request.signature == last) continue;
        last = request.signature;
        status = served::Ask(model, request, &answer);
        if (!status.ok()) continue;
        answers.Write(answer);
        signatures += (signatures.empty() ? "\"" : ", \"") + last + "\"";
      }
      std::string error(status.message());
      for (char& c : error) c = c == '"' || c == '\\' || c < ' ' ? ' ' : c;
      std::printf("{\"folder\": \"%s\", \"version\": %s, \"error\": \"%s\", \"signatures\": [%s]}\n",
                  folder.c_str(), version.c_str(), error.c_str(), signatures.c_str());
    }
    std::fflush(stdout);
  }
  answers.Close();
}

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  served::LoadOps();
  if (args.size() == 2 && args[0] == "load")
    LoadOnce(args[1]);
  else if (args.size() > 3 && args[0] == "watch")
    Watch(args[1], args[2], {args.begin() + 3, args.end()});
  else if (args.size() == 7 && args[0] == "cobatch")
    served::CoBatch(args[1], args[2], args[3], std::stol(args[4]), std::stoul(args[5]), args[6]);
  else if (args.size() == 6 && args[0] == "clients")
    served::Clients(args[1], args[2], std::stoi(args[3]), std::stod(args[4]), std::stod(args[5]));
  else
    served::Check(absl::InvalidArgumentError("load | watch | cobatch | clients, see serve.cc"));
}
