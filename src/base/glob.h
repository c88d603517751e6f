#pragma once
// Glob patterns as KEYS, SCAN and PSUBSCRIBE take them: * ? [abc] [^a] [a-z] and \ to escape.
#include <string_view>

namespace brim {

// O(pattern * text) at worst.
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case);

}  // namespace brim
