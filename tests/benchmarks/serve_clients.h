// Many clients at once in one process: the verb `clients` of serve.cc.

#ifndef KERAS_BERT_SERVE_CLIENTS_H_
#define KERAS_BERT_SERVE_CLIENTS_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <random>
#include <thread>

#include "served.h"
#include "tensorflow/core/lib/monitoring/collection_registry.h"

namespace served {

constexpr double kWarmUpSeconds = 3;

inline double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How many batches the graphs of this process have joined, and of how many rows in all.
inline std::pair<double, double> Joined() {
  const auto metrics = tensorflow::monitoring::CollectionRegistry::Default()->CollectMetrics({});
  const auto found = metrics->point_set_map.find("/tensorflow/serving/batching/batch_size");
  std::pair<double, double> total{0, 0};
  if (found == metrics->point_set_map.end()) return total;
  for (const auto& point : found->second->points) {
    total.first += point->histogram_value.num();
    total.second += point->histogram_value.sum();
  }
  return total;
}

// Lets so many threads call work(thread) each and waits for them.
template <typename Work>
void InThreads(int count, Work work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

// When requests come, in seconds from the start: at random, so many a second.
inline std::vector<double> Arrivals(double rate, double seconds) {
  std::mt19937 random(0);
  std::exponential_distribution<double> gap(rate);
  std::vector<double> times;
  for (double time = gap(random); time < seconds; time += gap(random)) times.push_back(time);
  return times;
}

// Asks the requests in turn for so many seconds. RATE 0: each thread asks anew as soon as it was answered.
// Else requests come at that rate whatever became of those before, are taken by the first thread that is
// free, and their time runs from when they came. `cpu_ms` is what a request takes of all cores.
inline void Clients(const std::string& folder, const std::string& file, int threads, double seconds,
                    double rate) {
  tensorflow::SavedModelBundle model;
  std::vector<Request> warm_up, requests;
  Check(LoadWarm(folder, &model, &warm_up));
  Check(ReadRequests(file, &requests));
  std::vector<std::vector<double>> taken(threads);
  std::atomic<size_t> next{0}, failed{0};
  const auto work = [&](int thread, double started, double until, const std::vector<double>* arrivals) {
    NamedTensors answer;
    for (size_t i = next++; arrivals ? i < arrivals->size() : Now() < until; i = next++) {
      double came = Now();
      if (arrivals) {
        std::this_thread::sleep_for(std::chrono::duration<double>(started + (*arrivals)[i] - came));
        came = started + (*arrivals)[i];
      }
      if (!Ask(model, requests[i % requests.size()], &answer).ok()) ++failed;
      taken[thread].push_back(Now() - came);
    }
  };
  const auto all = [&](double length, const std::vector<double>* arrivals) {
    for (auto& each : taken) each.clear();
    next = 0, failed = 0;
    const double started = Now();
    InThreads(threads, [&](int thread) { work(thread, started, started + length, arrivals); });
    return Now() - started;
  };
  all(kWarmUpSeconds, nullptr);  // the first calls of a thread, and of every shape, are slow
  const std::vector<double> arrivals = rate > 0 ? Arrivals(rate, seconds) : std::vector<double>();
  const auto joined = Joined();
  const std::clock_t cpu = std::clock();
  const double took = all(seconds, rate > 0 ? &arrivals : nullptr);
  const double cpu_seconds = double(std::clock() - cpu) / CLOCKS_PER_SEC;
  const auto [batches, rows] = Joined();
  std::vector<double> times;
  for (const auto& each : taken) times.insert(times.end(), each.begin(), each.end());
  if (times.empty()) Check(absl::InvalidArgumentError("no request in so few seconds"));
  std::sort(times.begin(), times.end());
  const auto percentile = [&](double p) {
    return 1000 * times[std::min<size_t>(times.size() - 1, std::lround(p * times.size()))];
  };
  std::printf("{\"requests\": %zu, \"failed\": %zu, \"per_second\": %.2f, \"p50_ms\": %.2f, "
              "\"p99_ms\": %.2f, \"rows_per_batch\": %.2f, \"cpu_ms\": %.2f}\n",
              times.size(), failed.load(), times.size() / took, percentile(0.5), percentile(0.99),
              batches > joined.first ? (rows - joined.second) / (batches - joined.first) : 1.0,
              1000 * cpu_seconds / times.size());
}

}  // namespace served

#endif  // KERAS_BERT_SERVE_CLIENTS_H_
