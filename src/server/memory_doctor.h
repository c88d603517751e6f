#pragma once
// MEMORY DOCTOR: each cause of trouble that is found in this process, with its figure, the setting and the command that
// mends it. The first rules are Redis's ("MEMORY DOCTOR" in its documentation), the others speak of the pressure
// ladder.
#include <string>

#include "server/info.h"

namespace brim {

// Every thread paused. O(shards).
std::string Diagnose(const MemoryFigures& figures);

}  // namespace brim
