// A model served without Python, by the load path of TensorFlow Serving, in the messages of its protocol.
//
// Requests are records of `PredictionLog`, as in `assets.extra/tf_serving_warmup_requests`; answers are
// records of `PredictResponse`. The wheel has no classes for the two. On the wire a map of named tensors is
// a list of `NamedTensorProto`, and a `PredictResponse` a `RunStepResponse`, so that those of TensorFlow do.

#ifndef KERAS_BERT_SERVED_H_
#define KERAS_BERT_SERVED_H_

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/lib/io/record_reader.h"
#include "tensorflow/core/lib/io/record_writer.h"
#include "tensorflow/core/protobuf/master.pb.h"
#include "tensorflow/core/protobuf/named_tensor.pb.h"
#include "tensorflow/core/public/session_options.h"

namespace served {

using tensorflow::Tensor;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

struct Request {
  std::string signature;
  NamedTensors inputs;
};

inline void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status.ToString() << std::endl;
  std::exit(1);
}

// Loads the libraries of operations that OP_LIBRARIES names, parted by colons: those of tensorflow-text.
inline void LoadOps() {
  const char* named = std::getenv("OP_LIBRARIES");
  std::istringstream files(named ? named : "");
  for (std::string file; std::getline(files, file, ':');) {
    std::unique_ptr<TF_Status, void (*)(TF_Status*)> status(TF_NewStatus(), TF_DeleteStatus);
    TF_LoadLibrary(file.c_str(), status.get());
    if (TF_GetCode(status.get()) != TF_OK) Check(absl::InternalError(TF_Message(status.get())));
  }
}

inline absl::Status Load(const std::string& folder, tensorflow::SavedModelBundle* model) {
  return tensorflow::LoadSavedModel(tensorflow::SessionOptions(), tensorflow::RunOptions(), folder,
                                    {"serve"}, model);
}

// The values of a field of texts or messages, out of the bytes of the message that has it.
inline std::vector<std::string> Field(const std::string& message, uint32_t number) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(message.data()),
                                                static_cast<int>(message.size()));
  std::vector<std::string> values;
  while (const uint32_t tag = stream.ReadTag()) {
    uint64_t size = 0;
    std::string value;
    if (!stream.ReadVarint64(&size)) Check(absl::DataLossError("not a request"));
    if ((tag & 7) != 2) continue;  // a number, and thereby read
    if (!stream.ReadString(&value, static_cast<int>(size))) Check(absl::DataLossError("cut off"));
    if (tag >> 3 == number) values.push_back(std::move(value));
  }
  return values;
}

inline Request Parsed(const std::string& record) {
  const std::string request = Field(Field(record, 6).at(0), 1).at(0);  // predict_log, request
  Request parsed{Field(Field(request, 1).at(0), 3).at(0), {}};         // model_spec, signature_name
  for (const std::string& bytes : Field(request, 2)) {
    tensorflow::NamedTensorProto named;
    Tensor tensor;
    if (!named.ParseFromString(bytes) || !tensor.FromProto(named.tensor()))
      Check(absl::DataLossError("a request holds no tensor"));
    parsed.inputs.emplace_back(named.name(), tensor);
  }
  return parsed;
}

inline absl::Status ReadRequests(const std::string& file, std::vector<Request>* requests) {
  std::unique_ptr<tensorflow::RandomAccessFile> opened;
  const absl::Status status = tensorflow::Env::Default()->NewRandomAccessFile(file, &opened);
  if (!status.ok()) return status;
  tensorflow::io::RecordReader reader(opened.get());
  tensorflow::tstring record;
  for (uint64_t offset = 0;;) {
    const absl::Status read = reader.ReadRecord(&offset, &record);
    if (absl::IsOutOfRange(read)) return absl::OkStatus();  // the end
    if (!read.ok()) return read;
    requests->push_back(Parsed(std::string(record)));
  }
}

inline absl::Status Ask(const tensorflow::SavedModelBundle& model, const Request& request,
                        NamedTensors* answer) {
  const auto& signatures = model.GetSignatures();
  const auto found = signatures.find(request.signature);
  if (found == signatures.end()) return absl::NotFoundError("no signature " + request.signature);
  NamedTensors inputs;
  for (const auto& [name, tensor] : request.inputs) {
    const auto input = found->second.inputs().find(name);
    if (input == found->second.inputs().end()) return absl::NotFoundError("no input " + name);
    inputs.emplace_back(input->second.name(), tensor);
  }
  std::map<std::string, std::string> fetched;  // in the order of the names, which the signature does not have
  for (const auto& [name, info] : found->second.outputs()) fetched[name] = info.name();
  std::vector<std::string> fetches;
  for (const auto& [name, fetch] : fetched) fetches.push_back(fetch);
  std::vector<Tensor> outputs;
  const absl::Status status = model.session->Run(inputs, fetches, {}, &outputs);
  answer->clear();
  auto output = outputs.begin();
  for (const auto& [name, fetch] : fetched)
    if (output != outputs.end()) answer->emplace_back(name, *output++);
  return status;
}

inline absl::Status ReadWarmUp(const std::string& folder, std::vector<Request>* requests) {
  return ReadRequests(folder + "/assets.extra/tf_serving_warmup_requests", requests);
}

// Loads a model and sends it the requests that lie beside it, as the server does before it serves.
inline absl::Status LoadWarm(const std::string& folder, tensorflow::SavedModelBundle* model,
                             std::vector<Request>* warm_up) {
  absl::Status status = Load(folder, model);
  if (status.ok()) status = ReadWarmUp(folder, warm_up);
  NamedTensors answer;
  for (size_t i = 0; status.ok() && i < warm_up->size(); ++i) status = Ask(*model, (*warm_up)[i], &answer);
  return status;
}

// Answers as records of a file.
class Answers {
 public:
  explicit Answers(const std::string& file) {
    Check(tensorflow::Env::Default()->NewWritableFile(file, &file_));
    writer_ = std::make_unique<tensorflow::io::RecordWriter>(file_.get());
  }
  void Write(const NamedTensors& answer) {
    tensorflow::RunStepResponse response;
    for (const auto& [name, tensor] : answer) {
      auto* named = response.add_tensor();
      named->set_name(name);
      tensor.AsProtoField(named->mutable_tensor());
    }
    Check(writer_->WriteRecord(response.SerializeAsString()));
  }
  void Close() { Check(writer_->Close()), Check(file_->Close()); }

 private:
  std::unique_ptr<tensorflow::WritableFile> file_;
  std::unique_ptr<tensorflow::io::RecordWriter> writer_;
};

}  // namespace served

#endif  // KERAS_BERT_SERVED_H_
