#include "server/command_syntax.h"

#include <algorithm>

#include "base/ascii.h"

namespace brim {

namespace {

bool IsToken(std::string_view word) {
  if (word == "*" || word == "=" || word == "~" || word == "$") return true;
  bool upper = false;
  for (char c : word) {
    if (c >= 'a' && c <= 'z') return false;
    upper |= c >= 'A' && c <= 'Z';
  }
  return upper;
}

// The type that an argument's name implies.
std::string TypeOf(std::string_view name) {
  constexpr std::string_view kKeys[] = {"key", "newkey", "source", "destination", "key1", "key2", "dst"};
  constexpr std::string_view kIntegers[] = {"count",          "seconds",   "milliseconds", "offset",        "index",
                                            "start",          "stop",      "end",          "numkeys",       "db",
                                            "destination-db", "index1",    "index2",       "increment",     "decrement",
                                            "cursor",         "rank",      "num-matches",  "len",           "limit",
                                            "protover",       "client-id", "timeout-ms",   "min-match-len", "port",
                                            "maxage",         "samples",   "numlocal",     "num-vertices"};
  constexpr std::string_view kDoubles[] = {"score",    "timeout", "weight", "longitude",
                                           "latitude", "radius",  "width",  "height"};
  auto is = [name](std::string_view each) { return each == name; };
  if (std::any_of(std::begin(kKeys), std::end(kKeys), is)) return "key";
  if (std::any_of(std::begin(kIntegers), std::end(kIntegers), is)) return "integer";
  if (std::any_of(std::begin(kDoubles), std::end(kDoubles), is)) return "double";
  if (name == "pattern") return "pattern";
  return name.starts_with("unix-time") ? "unix-time" : "string";
}

bool SameShape(const SyntaxNode& a, const SyntaxNode& b) {
  if (a.name != b.name || a.token != b.token || a.children.size() != b.children.size()) return false;
  return std::equal(a.children.begin(), a.children.end(), b.children.begin(), SameShape);
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // Up to the end. With `repeated` set when the sequence ends in "...".
  std::vector<SyntaxNode> Sequence(bool* repeated) {
    std::vector<SyntaxNode> nodes;
    while (SkipBlanks()) {
      if (Opens(text_[at_])) {
        Bracket(&nodes);
        continue;
      }
      std::string_view word = Word();
      if (word == "...") {
        if (repeated != nullptr) *repeated = true;
        continue;
      }
      nodes.push_back(FromWord(word));
    }
    JoinTokens(&nodes);
    return nodes;
  }

 private:
  bool SkipBlanks() {
    while (at_ < text_.size() && text_[at_] == ' ') at_++;
    return at_ < text_.size();
  }

  static bool Opens(char c) { return c == '[' || c == '<'; }
  static bool Closes(char c) { return c == ']' || c == '>'; }

  std::string_view Word() {
    size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ' ' && !Opens(text_[at_])) at_++;
    return text_.substr(begin, at_ - begin);
  }

  static SyntaxNode Leaf(std::string_view word) {
    SyntaxNode node;
    node.name = LowerCase(word);
    if (IsToken(word)) {
      node.type = "pure-token";
      node.token = word;
    } else {
      node.type = TypeOf(word);
    }
    return node;
  }

  static SyntaxNode FromWord(std::string_view word) {
    if (word.find('|') == std::string_view::npos) return Leaf(word);
    SyntaxNode node;
    node.type = "oneof";
    while (!word.empty()) {
      size_t bar = std::min(word.find('|'), word.size());
      node.children.push_back(Leaf(word.substr(0, bar)));
      node.name += (node.name.empty() ? "" : "-or-") + node.children.back().name;
      word.remove_prefix(std::min(bar + 1, word.size()));
    }
    return node;
  }

  // A token takes the arguments behind it: one keeps its type, several are a block.
  static void JoinTokens(std::vector<SyntaxNode>* nodes) {
    if (nodes->size() < 2 || (*nodes)[0].type != "pure-token" || (*nodes)[0].optional) return;
    auto is_token = [](const SyntaxNode& node) { return node.type == "pure-token"; };
    if (std::any_of(nodes->begin() + 1, nodes->end(), is_token)) return;
    std::string token = (*nodes)[0].token;
    nodes->erase(nodes->begin());
    if (nodes->size() == 1 && (*nodes)[0].token.empty() && !(*nodes)[0].optional) {
      (*nodes)[0].token = token;
      return;
    }
    SyntaxNode block;
    block.name = LowerCase(token);
    block.type = "block";
    block.token = token;
    block.children = std::move(*nodes);
    nodes->clear();
    nodes->push_back(std::move(block));
  }

  // Alternatives of several words: "EX seconds|PX milliseconds|KEEPTTL".
  static bool SplitAlternatives(std::string_view inside, std::vector<std::string_view>* parts) {
    int depth = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= inside.size(); i++) {
      if (i < inside.size() && Opens(inside[i])) depth++;
      if (i < inside.size() && Closes(inside[i])) depth--;
      if (i < inside.size() && (inside[i] != '|' || depth > 0)) continue;
      parts->push_back(inside.substr(begin, i - begin));
      begin = i + 1;
    }
    return parts->size() > 1;
  }

  std::string_view Inside() {
    size_t begin = at_;
    int depth = 1;
    while (at_ < text_.size() && depth > 0) {
      depth += Opens(text_[at_]) ? 1 : Closes(text_[at_]) ? -1 : 0;
      at_++;
    }
    return text_.substr(begin, at_ - begin - 1);
  }

  void Bracket(std::vector<SyntaxNode>* nodes) {
    bool optional = text_[at_++] == '[';
    std::string_view inside = Inside();
    std::vector<std::string_view> parts;
    bool repeated = false;
    std::vector<SyntaxNode> content;
    if (!inside.ends_with("...") && SplitAlternatives(inside, &parts)) {
      SyntaxNode choice;
      choice.type = "oneof";
      for (std::string_view part : parts) choice.children.push_back(AsOne(Reader(part).Sequence(nullptr)));
      choice.name = choice.children[0].name;
      content.push_back(std::move(choice));
    } else {
      content = Reader(inside).Sequence(&repeated);
    }
    if (repeated && Repeats(nodes, content)) return;
    SyntaxNode node = AsOne(std::move(content));
    node.optional = optional;
    node.multiple |= repeated;
    node.repeats_token |= repeated && !node.token.empty();
    nodes->push_back(std::move(node));
  }

  static SyntaxNode AsOne(std::vector<SyntaxNode> nodes) {
    if (nodes.size() == 1) return std::move(nodes[0]);
    SyntaxNode block;
    block.type = "block";
    for (const SyntaxNode& node : nodes) block.name += (block.name.empty() ? "" : "-") + node.name;
    block.children = std::move(nodes);
    return block;
  }

  // "[x ...]" behind x: the last nodes become one that may come several times.
  static bool Repeats(std::vector<SyntaxNode>* nodes, const std::vector<SyntaxNode>& content) {
    // In front of the bracket the token and its argument may still stand apart.
    if (content.size() == 1 && !content[0].token.empty() && nodes->size() >= 2 &&
        nodes->end()[-2].token == content[0].token) {
      nodes->back().multiple = true;
      nodes->back().repeats_token = true;
      return true;
    }
    if (content.size() > nodes->size()) return false;
    auto first = nodes->end() - static_cast<ptrdiff_t>(content.size());
    if (!std::equal(first, nodes->end(), content.begin(), SameShape)) return false;
    std::vector<SyntaxNode> last(first, nodes->end());
    nodes->erase(first, nodes->end());
    SyntaxNode node = AsOne(std::move(last));
    node.multiple = true;
    nodes->push_back(std::move(node));
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::vector<SyntaxNode> ParseSyntax(std::string_view syntax) { return Reader(syntax).Sequence(nullptr); }

}  // namespace brim
