#pragma once
// The timeout of the blocking commands.
#include <cstddef>
#include <cstdint>

namespace brim {

class Context;

// Reads argument `arg` as seconds, with fraction, into milliseconds, rounded up; 0 waits for ever. False with the error
// replied.
bool ParseTimeout(Context& context, size_t arg, int64_t* timeout_ms);

}  // namespace brim
