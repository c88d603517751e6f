#pragma once
// LATENCY DOCTOR: what the latency monitor has seen in this process, and what to do about it.
#include <string>

namespace brim {

// Every thread paused.
std::string DiagnoseLatency();

}  // namespace brim
