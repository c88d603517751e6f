// Users as rules again. Commands are told by the fewest categories and names that give the same set, chosen as
// redis-server 7.0 chooses them, so that both print the same.
#include <climits>

#include "base/quoting.h"
#include "server/acl_rules.h"

namespace brim {

namespace {

// The category that fits best what `rest` still lacks (additive) or has too much: more right than wrong, and the least
// wrong. -1: none does.
int BestCategory(const CommandSet& rest, bool additive, const std::vector<bool>& used) {
  int best = -1;
  size_t least_wrong = INT_MAX;
  size_t most_right = 0;
  for (int i = 0; i < static_cast<int>(used.size()); i++) {
    if (used[static_cast<size_t>(i)]) continue;
    size_t on = (command_catalog.Members(i) & rest).count();
    size_t off = command_catalog.Members(i).count() - on;
    size_t wrong = additive ? off : on;
    size_t right = additive ? on : off;
    if (right <= wrong || wrong > least_wrong || (wrong == least_wrong && right <= most_right)) continue;
    best = i;
    least_wrong = wrong;
    most_right = right;
  }
  return best;
}

void Apply(CommandSet* set, const CommandSet& reach, bool allow) { *set = allow ? *set | reach : *set & ~reach; }

using Words = std::vector<std::string>;

// What the categories have left wrong about the command and its subcommands.
void DescribeCommand(const Selector& selector, const Command& command, CommandSet* told, Words* words) {
  bool allowed = selector.Has(command);
  if (told->test(static_cast<size_t>(command.id)) != allowed) {
    words->push_back(std::string(allowed ? "+" : "-") + command.spec->name);
    Apply(told, CommandCatalog::Reach(command), allowed);
  }
  for (const Command* sub : command.subcommands) DescribeCommand(selector, *sub, told, words);
  auto arguments = selector.first_arguments.find(command.id);
  if (allowed || arguments == selector.first_arguments.end()) return;
  for (const std::string& each : arguments->second)
    words->push_back(std::string("+") + command.spec->name + "|" + each);
}

Words CommandWords(const Selector& selector) {
  bool additive = !selector.commands.test(kFutureBit);
  Words words{additive ? "-@all" : "+@all"};
  CommandSet told;
  if (!additive) told.set();
  CommandSet rest = selector.commands;
  std::vector<bool> used(AclCategories().size());
  for (int best; (best = BestCategory(rest, additive, used)) >= 0;) {
    words.push_back(std::string(additive ? "+@" : "-@") + AclCategories()[static_cast<size_t>(best)].name);
    Apply(&told, command_catalog.Reach(best), additive);
    Apply(&rest, command_catalog.Reach(best), !additive);
    used[static_cast<size_t>(best)] = true;
  }
  for (const Command* command : command_catalog.top_level()) DescribeCommand(selector, *command, &told, &words);
  return words;
}

Words KeyWords(const Selector& selector, bool as_rules) {
  if (selector.all_keys) return {"~*"};
  Words words;
  for (const KeyPattern& each : selector.keys) {
    if (each.pattern == "*" && each.access == (kMayRead | kMayWrite) && as_rules) {
      words.emplace_back("%RW~*");  // "~*" is another rule, after which no pattern may come
      continue;
    }
    const char* access = each.access == kMayRead ? "%R~" : each.access == kMayWrite ? "%W~" : "~";
    words.push_back(access + each.pattern);
  }
  return words;
}

Words ChannelWords(const Selector& selector) {
  if (selector.all_channels) return {"&*"};
  Words words;
  for (const std::string& each : selector.channels) words.push_back("&" + each);
  return words;
}

void Append(const Words& more, Words* words) { words->insert(words->end(), more.begin(), more.end()); }

Words SelectorWords(const Selector& selector) {
  Words words = KeyWords(selector, true);
  if (!selector.all_channels) words.emplace_back("resetchannels");
  Append(ChannelWords(selector), &words);
  Append(CommandWords(selector), &words);
  return words;
}

std::string Join(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// Between parentheses words are split as in redis.conf, and the last one ends with the parenthesis.
std::string InParentheses(Words words) {
  for (std::string& word : words) {
    if (word.find_first_of("\"'") != std::string::npos || word.ends_with(')')) word = QuoteWord(word);
  }
  return "(" + Join(words) + ")";
}

}  // namespace

std::string DescribeCommands(const Selector& selector) { return Join(CommandWords(selector)); }
std::string DescribeKeys(const Selector& selector) { return Join(KeyWords(selector, false)); }
std::string DescribeChannels(const Selector& selector) { return Join(ChannelWords(selector)); }

std::vector<const char*> UserFlags(const User& user) {
  std::vector<const char*> flags{user.enabled ? "on" : "off"};
  if (user.no_password) flags.push_back("nopass");
  if (user.payload_check == PayloadCheck::kOff) flags.push_back("skip-sanitize-payload");
  if (user.payload_check == PayloadCheck::kOn) flags.push_back("sanitize-payload");
  return flags;
}

std::string DescribeUser(const User& user) {
  Words words;
  for (const char* flag : UserFlags(user)) words.emplace_back(flag);
  for (const std::string& hash : user.passwords) words.push_back("#" + hash);
  Append(SelectorWords(user.selectors[0]), &words);
  for (size_t i = 1; i < user.selectors.size(); i++) words.push_back(InParentheses(SelectorWords(user.selectors[i])));
  return Join(words);
}

}  // namespace brim
