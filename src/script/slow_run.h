#pragma once
// Scripts that take longer than busy-reply-threshold: their clients' company is answered, they can be killed, and
// FUNCTION STATS tells of them.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "script/interpreter.h"

namespace brim {

// From the interpreter's hook. Null: the script goes on; else the text of the error that ends it. Raises no Lua errors.
const char* WatchRun(Interpreter& interpreter) noexcept;

// A run that WatchRun has found slow is over.
void ForgetSlowRun(int worker);

struct SlowRun {
  std::string name;
  std::vector<std::string> command;
  int64_t began_us = 0;  // monotonic
  bool function = false;
};
// One of them, a function's if there is one. Any thread.
std::optional<SlowRun> AnySlowRun();

}  // namespace brim
