// Serves an exported model without Python, by the load path of TensorFlow Serving.
//
//     loader MODEL_DIR IDS_FILE [OP_LIBRARY...] < TEXTS
//
// Asks the signature `ids`, and `serving_default` with the lines of standard input where op libraries (those
// of tensorflow-text) are given. IDS_FILE holds B, T, then B*T token ids, B*T segment ids, B lengths.
// Prints one JSON object: {signature: {output: [values, row by row]}}.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/c/c_api.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session_options.h"

using tensorflow::Tensor;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status.ToString() << std::endl;
  std::exit(1);
}

void LoadOps(const char* file) {
  std::unique_ptr<TF_Status, void (*)(TF_Status*)> status(TF_NewStatus(), TF_DeleteStatus);
  TF_LoadLibrary(file, status.get());
  if (TF_GetCode(status.get()) == TF_OK) return;
  std::cerr << TF_Message(status.get()) << std::endl;
  std::exit(1);
}

Tensor ReadInts(std::istream& file, const tensorflow::TensorShape& shape) {
  Tensor tensor(tensorflow::DT_INT32, shape);
  for (int i = 0; i < tensor.NumElements(); ++i) file >> tensor.flat<int32_t>()(i);
  return tensor;
}

void PrintValues(const Tensor& tensor) {
  for (int i = 0; i < tensor.NumElements(); ++i) {
    std::printf(i ? ", " : "");
    if (tensor.dtype() == tensorflow::DT_STRING)
      std::printf("\"%s\"", tensor.flat<tensorflow::tstring>()(i).c_str());
    else
      std::printf("%.9g", tensor.flat<float>()(i));
  }
}

void Ask(const tensorflow::SavedModelBundle& model, const std::string& name, const NamedTensors& named) {
  const auto& signature = model.GetSignatures().at(name);
  NamedTensors inputs;
  for (const auto& [key, tensor] : named) inputs.emplace_back(signature.inputs().at(key).name(), tensor);
  std::vector<std::string> keys, fetches;
  for (const auto& [key, info] : signature.outputs()) keys.push_back(key), fetches.push_back(info.name());
  std::vector<Tensor> outputs;
  Check(model.session->Run(inputs, fetches, {}, &outputs));
  std::printf("\"%s\": {", name.c_str());
  for (size_t i = 0; i < keys.size(); ++i) {
    std::printf("%s\"%s\": [", i ? ", " : "", keys[i].c_str());
    PrintValues(outputs[i]);
    std::printf("]");
  }
  std::printf("}");
}

int main(int argc, char** argv) {
  for (int i = 3; i < argc; ++i) LoadOps(argv[i]);
  tensorflow::SavedModelBundle model;
  Check(tensorflow::LoadSavedModel(tensorflow::SessionOptions(), tensorflow::RunOptions(), argv[1],
                                   {"serve"}, &model));
  std::ifstream file(argv[2]);
  int batch, length;
  file >> batch >> length;
  const Tensor token_ids = ReadInts(file, {batch, length}), segment_ids = ReadInts(file, {batch, length});
  std::printf("{");
  Ask(model, "ids", {{"token_ids", token_ids}, {"segment_ids", segment_ids}, {"length", ReadInts(file, {batch})}});
  if (argc > 3) {
    std::vector<std::string> lines;
    for (std::string line; std::getline(std::cin, line);) lines.push_back(line);
    Tensor texts(tensorflow::DT_STRING, {static_cast<int64_t>(lines.size())});
    for (size_t i = 0; i < lines.size(); ++i) texts.flat<tensorflow::tstring>()(i) = lines[i];
    std::printf(", ");
    Ask(model, "serving_default", {{"text", texts}});
  }
  std::printf("}\n");
}
