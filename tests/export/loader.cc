// Serves an exported model without Python, by the load path of TensorFlow Serving.
//
//     OP_LIBRARIES=a.so:b.so loader MODEL_DIR REQUESTS ANSWERS
//
// Loads the model, sends it its own warm-up requests, and answers REQUESTS into ANSWERS; see served.h for
// what these hold.

#include "served.h"

int main(int argc, char** argv) {
  if (argc != 4) served::Check(absl::InvalidArgumentError("loader MODEL_DIR REQUESTS ANSWERS"));
  served::LoadOps();
  tensorflow::SavedModelBundle model;
  std::vector<served::Request> warm_up, requests;
  served::Check(served::LoadWarm(argv[1], &model, &warm_up));
  served::Check(served::ReadRequests(argv[2], &requests));
  served::Answers answers(argv[3]);
  served::NamedTensors answer;
  for (const served::Request& request : requests) {
    served::Check(served::Ask(model, request, &answer));
    answers.Write(answer);
  }
  answers.Close();
}
