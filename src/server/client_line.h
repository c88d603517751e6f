#pragma once
// A connection as one line: CLIENT LIST, CLIENT INFO, the log. What each field means: docs/watching.md.
#include <string>
#include <string_view>

namespace brim {

class Connection;

// Every letter that a connection can have.
inline constexpr std::string_view kClientFlagLetters = "OPxbtRBducAUeTN";

// The letters of its state, "N" for none.
std::string ClientFlags(const Connection& connection);
std::string DescribeConnection(const Connection& connection);

}  // namespace brim
