#pragma once
// A row's syntax string as the argument tree that COMMAND DOCS shows:
//   words in lower case are arguments, in upper case (and * = ~ $) tokens; a token before arguments belongs to them;
//   [x] is optional, [x ...] behind an equal x repeats it, a|b are alternatives, <a|b> one of which has to be there.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

struct SyntaxNode {
  std::string name;
  std::string type;   // key string integer double pattern unix-time pure-token oneof block
  std::string token;  // empty: none
  bool optional = false;
  bool multiple = false;
  bool repeats_token = false;
  std::vector<SyntaxNode> children;  // of oneof and block
};

std::vector<SyntaxNode> ParseSyntax(std::string_view syntax);

}  // namespace brim
