// Whether requests that are answered together get the answers they get alone: the verb `cobatch` of serve.cc.

#ifndef KERAS_BERT_SERVE_COBATCH_H_
#define KERAS_BERT_SERVE_COBATCH_H_

#include <array>
#include <cmath>
#include <mutex>
#include <random>

#include "serve_clients.h"
#include "served.h"
#include "tensorflow/core/framework/tensor_util.h"

namespace served {

constexpr double kLargest = 1e-5;
constexpr int kJoinedThreads = 8;

struct Counts {
  int64_t requests = 0, rows = 0, failed = 0;
  int64_t malformed = 0, changed = 0, changed_malformed = 0;  // rows
  double largest = 0;                                         // of rows that are well formed
};

// What one request is answered alone; the status of one that fails alone is not OK.
struct Alone {
  Request request;
  absl::Status status;
  NamedTensors answer;
};

// Whether a row of ids has as many tokens as it says. Of another, the server's own padding may be read.
inline bool IsWellFormed(const Request& request, int64_t row) {
  int64_t length = 1, width = -1;
  bool is_even = true;
  for (const auto& [name, tensor] : request.inputs) {
    if (name == "length") length = tensor.flat<int32_t>()(row);
    if (tensor.dtype() != tensorflow::DT_INT32 || tensor.dims() != 2) continue;
    is_even = is_even && (width < 0 || width == tensor.dim_size(1));
    width = tensor.dim_size(1);
  }
  return is_even && (width < 0 || (length > 0 && length <= width));
}

// (B, T) as long as the longest of a batch, filled with its FIRST element, as the server does it.
inline absl::StatusOr<Tensor> Padded(const Tensor& tensor, int64_t length) {
  const int64_t rows = tensor.dim_size(0), own = tensor.dim_size(1);
  if (own == length) return tensor;
  if (tensor.NumElements() == 0) return absl::InvalidArgumentError("nothing to pad with");
  Tensor padded(tensor.dtype(), {rows, length});
  padded.flat<int32_t>().setConstant(tensor.flat<int32_t>()(0));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < own; ++j) padded.matrix<int32_t>()(i, j) = tensor.matrix<int32_t>()(i, j);
  return padded;
}

// One request of several, as the server makes it: each input is padded by itself.
inline absl::StatusOr<Request> Together(const std::vector<const Alone*>& batch) {
  Request together{batch[0]->request.signature, {}};
  for (size_t input = 0; input < batch[0]->request.inputs.size(); ++input) {
    std::vector<Tensor> tensors;
    int64_t length = 0;
    for (const Alone* one : batch) {
      tensors.push_back(one->request.inputs[input].second);
      if (tensors.back().dims() > 1) length = std::max(length, tensors.back().dim_size(1));
    }
    for (Tensor& tensor : tensors) {
      if (tensor.dims() < 2 || tensor.dtype() != tensorflow::DT_INT32) continue;
      const absl::StatusOr<Tensor> padded = Padded(tensor, length);
      if (!padded.ok()) return padded.status();
      tensor = *padded;
    }
    Tensor joined;
    const absl::Status status = tensorflow::tensor::Concat(tensors, &joined);
    if (!status.ok()) return status;
    together.inputs.emplace_back(batch[0]->request.inputs[input].first, joined);
  }
  return together;
}

template <typename T>
double Difference(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, float>)
    return std::isfinite(b) ? std::abs(double(a) - double(b)) : std::numeric_limits<double>::infinity();
  return a == b ? 0 : std::numeric_limits<double>::infinity();
}

// The largest difference of one row from the same row alone. Where the axes behind the batch's are longer
// than alone, what is more must be zero or empty if `is_strict`, or else may be anything: answers to padding.
template <typename T>
double RowDifference(const Tensor& alone, int64_t row, const Tensor& answer, int64_t at, bool is_strict) {
  std::array<int64_t, 3> own{1, 1, 1}, wide{1, 1, 1};
  for (int d = 1; d < alone.dims(); ++d) own[d - 1] = alone.dim_size(d), wide[d - 1] = answer.dim_size(d);
  const auto expected = alone.shaped<T, 4>({alone.dim_size(0), own[0], own[1], own[2]});
  const auto got = answer.shaped<T, 4>({answer.dim_size(0), wide[0], wide[1], wide[2]});
  double largest = 0;
  for (int64_t i = 0; i < std::max(own[0], wide[0]); ++i)
    for (int64_t j = 0; j < std::max(own[1], wide[1]); ++j)
      for (int64_t k = 0; k < std::max(own[2], wide[2]); ++k) {
        const bool is_own = i < own[0] && j < own[1] && k < own[2];
        if (i >= wide[0] || j >= wide[1] || k >= wide[2]) return std::numeric_limits<double>::infinity();
        if (!is_own && !is_strict) continue;
        largest = std::max(largest, Difference<T>(is_own ? expected(row, i, j, k) : T(), got(at, i, j, k)));
      }
  return largest;
}

inline double RowDifference(const Tensor& alone, int64_t row, const Tensor& answer, int64_t at,
                            bool is_strict) {
  if (alone.dtype() != answer.dtype() || alone.dims() != answer.dims())
    return std::numeric_limits<double>::infinity();
  switch (alone.dtype()) {
    case tensorflow::DT_FLOAT: return RowDifference<float>(alone, row, answer, at, is_strict);
    case tensorflow::DT_INT32: return RowDifference<int32_t>(alone, row, answer, at, is_strict);
    case tensorflow::DT_STRING: return RowDifference<tensorflow::tstring>(alone, row, answer, at, is_strict);
    default: return std::numeric_limits<double>::infinity();
  }
}

// Holds the rows of `one` in an answer to several requests, from row `at` on, against its answer alone.
inline void Compare(const Alone& one, const NamedTensors& answer, int64_t at, bool is_strict,
                    Counts* counts) {
  const int64_t rows = one.request.inputs[0].second.dim_size(0);
  ++counts->requests, counts->rows += rows;
  if (!one.status.ok()) return;  // it fails alone, and may get any answer
  for (int64_t row = 0; row < rows; ++row) {
    double largest = answer.size() == one.answer.size() ? 0 : std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < one.answer.size() && i < answer.size(); ++i)
      largest = std::max(largest,
                         RowDifference(one.answer[i].second, row, answer[i].second, at + row, is_strict));
    const bool is_well_formed = IsWellFormed(one.request, row);
    counts->malformed += !is_well_formed;
    if (largest > kLargest) ++(is_well_formed ? counts->changed : counts->changed_malformed);
    if (is_well_formed && std::isfinite(largest)) counts->largest = std::max(counts->largest, largest);
  }
}

inline void Add(const Counts& more, Counts* counts) {
  counts->requests += more.requests, counts->rows += more.rows, counts->failed += more.failed;
  counts->malformed += more.malformed, counts->changed += more.changed;
  counts->changed_malformed += more.changed_malformed;
  counts->largest = std::max(counts->largest, more.largest);
}

// Counts what failed, and says why the first did.
inline void Failed(const char* what, const absl::Status& status, Counts* counts, NamedTensors* answer) {
  if (!counts->failed++) std::cerr << "a failed " << what << ": " << status.message().substr(0, 300) << "\n";
  answer->clear();
}

// Random batches of 2 to 8 requests, joined as the server joins them.
inline Counts JoinedByServer(const tensorflow::SavedModelBundle& model, const std::vector<Alone>& alone,
                             int64_t batches, unsigned seed, bool is_strict) {
  std::mt19937 random(seed);
  Counts counts;
  for (int64_t i = 0; i < batches; ++i) {
    std::vector<const Alone*> batch;
    for (int size = 2 + random() % 7; size > 0; --size) batch.push_back(&alone[random() % alone.size()]);
    NamedTensors answer;
    const absl::StatusOr<Request> together = Together(batch);
    const absl::Status status = together.ok() ? Ask(model, *together, &answer) : together.status();
    if (!status.ok()) Failed("batch", status, &counts, &answer);
    int64_t at = 0;
    for (const Alone* one : batch) {
      Compare(*one, answer, at, is_strict, &counts);
      at += one->request.inputs[0].second.dim_size(0);
    }
  }
  return counts;
}

// Threads that ask all the time, so that the graph joins them, until so many batches were formed.
inline Counts JoinedInGraph(const tensorflow::SavedModelBundle& model, const std::vector<Alone>& alone,
                            int64_t batches, unsigned seed, bool is_strict) {
  std::mutex mutex;
  Counts counts;
  const double before = Joined().first;
  InThreads(kJoinedThreads, [&](int thread) {
    std::mt19937 random(seed * kJoinedThreads + thread);
    Counts own;
    while (Joined().first - before < batches)
      for (int i = 0; i < 50; ++i) {
        const Alone& one = alone[random() % alone.size()];
        NamedTensors answer;
        const absl::Status status = Ask(model, one.request, &answer);
        if (!status.ok() && one.status.ok()) Failed("request", status, &own, &answer);
        Compare(one, answer, 0, is_strict, &own);
      }
    const std::lock_guard<std::mutex> lock(mutex);
    Add(own, &counts);
  });
  return counts;
}

// Asks ALONE_DIR each request alone, TOGETHER_DIR random ones together; prints how they differ.
inline void CoBatch(const std::string& alone_folder, const std::string& folder, const std::string& file,
                    int64_t batches, unsigned seed, const std::string& form) {
  tensorflow::SavedModelBundle model, together;
  std::vector<Request> requests;
  Check(Load(alone_folder, &model)), Check(Load(folder, &together));
  Check(ReadRequests(file, &requests));
  std::vector<Alone> alone;
  int failing = 0;
  for (const Request& request : requests) {
    Alone one{request, absl::OkStatus(), {}};
    one.status = Ask(model, request, &one.answer);
    failing += !one.status.ok();
    alone.push_back(one);
  }
  const auto before = Joined();
  const bool is_joined = form == "joined";
  const auto ask_together = is_joined ? JoinedInGraph : JoinedByServer;
  const Counts counts = ask_together(together, alone, batches, seed, form != "ids");
  const auto [all, rows] = Joined();
  const double formed = is_joined ? all - before.first : batches;
  std::printf("{\"signature\": \"%s\", \"form\": \"%s\", \"distinct\": %zu, \"failing_alone\": %d, "
              "\"batches\": %.0f, \"requests\": %lld, \"rows\": %lld, \"rows_per_batch\": %.2f, "
              "\"failed\": %lld, \"malformed_rows\": %lld, \"changed_rows\": %lld, "
              "\"changed_malformed\": %lld, \"largest\": %.3g}\n",
              requests[0].signature.c_str(), form.c_str(), alone.size(), failing, formed,
              (long long)counts.requests, (long long)counts.rows,
              (is_joined ? rows - before.second : counts.rows) / formed, (long long)counts.failed,
              (long long)counts.malformed, (long long)counts.changed, (long long)counts.changed_malformed,
              counts.largest);
}

}  // namespace served

#endif  // KERAS_BERT_SERVE_COBATCH_H_
