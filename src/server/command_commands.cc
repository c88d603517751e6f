// COMMAND and its subcommands: all of it from the rows.
#include <algorithm>
#include <string>
#include <vector>

#include "base/ascii.h"
#include "base/glob.h"
#include "command/help.h"
#include "command/keys.h"
#include "command/registry.h"
#include "commands/arguments.h"
#include "server/command_syntax.h"
#include "server/server_commands.h"

namespace brim {

namespace {

using Named = BitName;

// In the order in which redis-server prints them; it keeps kMayReplicate to itself.
constexpr Named kFlagNames[] = {
    {kWrite, "write"},
    {kReadonly, "readonly"},
    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},
    {kPubSub, "pubsub"},
    {kNoScript, "noscript"},
    {kBlocking, "blocking"},
    {kLoading, "loading"},
    {kStale, "stale"},
    {kSkipMonitor, "skip_monitor"},
    {kSkipSlowlog, "skip_slowlog"},
    {kAsking, "asking"},
    {kFast, "fast"},
    {kNoAuth, "no_auth"},
    {kNoAsyncLoading, "no_async_loading"},
    {kNoMulti, "no_multi"},
    {kNoMandatoryKeys, "no_mandatory_keys"},
    {kMovableKeys, "movablekeys"},
    {kAllowBusy, "allow_busy"},
};

constexpr Named kKeyFlagNames[] = {
    {kKeyRO, "RO"},
    {kKeyRW, "RW"},
    {kKeyOW, "OW"},
    {kKeyRM, "RM"},
    {kKeyAccess, "access"},
    {kKeyUpdate, "update"},
    {kKeyInsert, "insert"},
    {kKeyDelete, "delete"},
    {kKeyNotKey, "not_key"},
    {kKeyIncomplete, "incomplete"},
    {kKeyVariableFlags, "variable_flags"},
};

constexpr const char* kGroupNames[] = {"generic", "string",       "list",       "set",    "sorted-set", "hash",
                                       "pubsub",  "transactions", "connection", "server", "scripting",  "hyperloglog",
                                       "cluster", "sentinel",     "geo",        "stream", "bitmap",     "module"};

void ReplyNames(Reply& reply, std::span<const Named> names, uint32_t bits, const char* prefix, bool as_set) {
  size_t count = 0;
  for (const Named& each : names) count += (bits & each.bit) != 0;
  as_set ? reply.SetHeader(count) : reply.ArrayHeader(count);
  for (const Named& each : names) {
    if (bits & each.bit) reply.Simple(prefix + std::string(each.name));
  }
}

// Keys that the three old numbers cannot tell.
bool HasMovableKeys(const CommandSpec& spec) {
  return std::any_of(std::begin(spec.keys), std::end(spec.keys), [](const KeySpec& key) {
    return key.begin != KeySpec::kNone && (key.begin != KeySpec::kIndex || key.find != KeySpec::kRange);
  });
}

struct LegacyRange {
  int first = 0;
  int last = 0;
  int step = 0;
};

size_t KeySpecCount(const CommandSpec& spec) {
  return static_cast<size_t>(std::count_if(std::begin(spec.keys), std::end(spec.keys),
                                           [](const KeySpec& key) { return key.begin != KeySpec::kNone; }));
}

// The three numbers that came before key specs: those whose keys are one run of arguments.
LegacyRange LegacyRangeOf(const CommandSpec& spec) {
  size_t count = KeySpecCount(spec);
  unsigned last = 0;
  int first = INT32_MAX;
  int previous_last = 0;
  for (size_t i = 0; i < count; i++) {
    const KeySpec& key = spec.keys[i];
    if (key.begin != KeySpec::kIndex || key.find != KeySpec::kRange) continue;
    int end = key.last >= 0 ? key.last + key.index : key.last;
    if (count == 1) return {key.index, end, key.step};
    if (key.step != 1 || (previous_last != 0 && previous_last != key.index - 1)) return {};
    first = std::min<int>(first, key.index);
    last = std::max(last, static_cast<unsigned>(end));
    previous_last = static_cast<int>(last);
  }
  if (first == INT32_MAX) return {};
  return {first, static_cast<int>(last), 1};
}

void ReplyBeginSearch(Reply& reply, const KeySpec& key) {
  reply.MapHeader(2);
  reply.Bulk("type");
  switch (key.begin) {
    case KeySpec::kIndex:
      reply.Bulk("index");
      reply.Bulk("spec");
      reply.MapHeader(1);
      reply.Bulk("index");
      reply.Integer(key.index);
      break;
    case KeySpec::kKeyword:
      reply.Bulk("keyword");
      reply.Bulk("spec");
      reply.MapHeader(2);
      reply.Bulk("keyword");
      reply.Bulk(key.keyword);
      reply.Bulk("startfrom");
      reply.Integer(key.index);
      break;
    default:
      reply.Bulk("unknown");
      reply.Bulk("spec");
      reply.MapHeader(0);
  }
}

void ReplyNumbers(Reply& reply, std::initializer_list<std::pair<const char*, int>> numbers) {
  reply.Bulk("spec");
  reply.MapHeader(numbers.size());
  for (auto [name, number] : numbers) {
    reply.Bulk(name);
    reply.Integer(number);
  }
}

void ReplyFindKeys(Reply& reply, const KeySpec& key) {
  reply.MapHeader(2);
  reply.Bulk("type");
  switch (key.find) {
    case KeySpec::kRange:
      reply.Bulk("range");
      ReplyNumbers(reply, {{"lastkey", key.last}, {"keystep", key.step}, {"limit", key.limit}});
      break;
    case KeySpec::kKeyNum:
      reply.Bulk("keynum");
      ReplyNumbers(reply, {{"keynumidx", key.last}, {"firstkey", key.limit}, {"keystep", key.step}});
      break;
    default:
      reply.Bulk("unknown");
      ReplyNumbers(reply, {});
  }
}

void ReplyKeySpecs(Reply& reply, const CommandSpec& spec) {
  size_t count = KeySpecCount(spec);
  reply.SetHeader(count);
  for (size_t i = 0; i < count; i++) {
    const KeySpec& key = spec.keys[i];
    reply.MapHeader(3);
    reply.Bulk("flags");
    ReplyNames(reply, kKeyFlagNames, key.flags, "", true);
    reply.Bulk("begin_search");
    ReplyBeginSearch(reply, key);
    reply.Bulk("find_keys");
    ReplyFindKeys(reply, key);
  }
}

void ReplyTips(Reply& reply, std::string_view tips) {
  std::vector<std::string_view> each;
  while (!tips.empty()) {
    size_t comma = std::min(tips.find(','), tips.size());
    each.push_back(tips.substr(0, comma));
    tips.remove_prefix(std::min(comma + 1, tips.size()));
  }
  reply.SetHeader(each.size());
  for (std::string_view tip : each) reply.Bulk(tip);
}

void ReplyInfo(Reply& reply, const Command& command) {
  const CommandSpec& spec = *command.spec;
  LegacyRange range = LegacyRangeOf(spec);
  reply.ArrayHeader(10);
  reply.Bulk(command.container != nullptr ? std::string_view(spec.name) : std::string_view(command.name));
  reply.Integer(spec.arity);
  ReplyNames(reply, kFlagNames, command.flags | (HasMovableKeys(spec) ? uint32_t{kMovableKeys} : 0u), "", true);
  reply.Integer(range.first);
  reply.Integer(range.last);
  reply.Integer(range.step);
  ReplyNames(reply, AclCategories(), CategoriesOf(spec), "@", true);
  ReplyTips(reply, spec.tips);
  ReplyKeySpecs(reply, spec);
  reply.SetHeader(command.subcommands.size());
  for (const Command* sub : command.subcommands) ReplyInfo(reply, *sub);
}

// By name, "container|sub" too; null when there is none.
const Command* FindNamed(std::string_view name) {
  size_t bar = name.find('|');
  const Command* command = registry.Find(name.substr(0, bar));
  if (bar == std::string_view::npos || command == nullptr) return command;
  return registry.FindSub(*command, name.substr(bar + 1));
}

std::vector<const Command*> TopLevel() {
  std::vector<const Command*> found;
  for (const auto& command : registry.all()) {
    if (command->container == nullptr && !command->name.empty()) found.push_back(command.get());
  }
  return found;
}

void CommandAll(Context& context) {
  auto all = TopLevel();
  context.reply().ArrayHeader(all.size());
  for (const Command* command : all) ReplyInfo(context.reply(), *command);
}

void CommandInfo(Context& context) {
  if (context.argc() == 2) {
    CommandAll(context);
    return;
  }
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) {
    const Command* command = FindNamed(context.arg(i));
    if (command == nullptr) {
      context.reply().Null();
    } else {
      ReplyInfo(context.reply(), *command);
    }
  }
}

void CommandCount(Context& context) { context.reply().Integer(static_cast<int64_t>(TopLevel().size())); }

// --- DOCS

void ReplySyntax(Reply& reply, const std::vector<SyntaxNode>& nodes, int* key_index) {
  reply.ArrayHeader(nodes.size());
  for (const SyntaxNode& node : nodes) {
    bool is_key = node.type == "key";
    bool flagged = node.optional || node.multiple;
    reply.MapHeader(2u + is_key + !node.token.empty() + flagged + !node.children.empty());
    reply.Bulk("name");
    reply.Bulk(node.name);
    reply.Bulk("type");
    reply.Bulk(node.type);
    if (is_key) {
      reply.Bulk("key_spec_index");
      reply.Integer((*key_index)++);
    }
    if (!node.token.empty()) {
      reply.Bulk("token");
      reply.Bulk(node.token);
    }
    if (flagged) {
      reply.Bulk("flags");
      reply.SetHeader(static_cast<size_t>(node.optional) + node.multiple + node.repeats_token);
      if (node.optional) reply.Simple("optional");
      if (node.multiple) reply.Simple("multiple");
      if (node.repeats_token) reply.Simple("multiple_token");
    }
    if (node.children.empty()) continue;
    reply.Bulk("arguments");
    ReplySyntax(reply, node.children, key_index);
  }
}

void ReplyDocs(Reply& reply, const Command& command) {
  const CommandSpec& spec = *command.spec;
  bool has_arguments = *spec.syntax != '\0';
  bool deprecated = spec.deprecated_since != nullptr;
  bool system = (spec.flags & kSysCommand) != 0;
  reply.MapHeader(3u + (*spec.complexity != '\0') + (deprecated || system) + deprecated * 2u + has_arguments +
                  !command.subcommands.empty());
  auto field = [&reply](const char* name, std::string_view text) {
    reply.Bulk(name);
    reply.Bulk(text);
  };
  field("summary", spec.summary);
  field("since", spec.since);
  field("group", kGroupNames[static_cast<int>(spec.group)]);
  if (*spec.complexity != '\0') field("complexity", spec.complexity);
  if (deprecated || system) {
    reply.Bulk("doc_flags");
    reply.SetHeader(static_cast<size_t>(deprecated) + system);
    if (deprecated) reply.Simple("deprecated");
    if (system) reply.Simple("syscmd");
  }
  if (deprecated) {
    field("deprecated_since", spec.deprecated_since);
    field("replaced_by", spec.replaced_by);
  }
  if (has_arguments) {
    reply.Bulk("arguments");
    int key_index = 0;
    ReplySyntax(reply, ParseSyntax(spec.syntax), &key_index);
  }
  if (command.subcommands.empty()) return;
  reply.Bulk("subcommands");
  reply.MapHeader(command.subcommands.size());
  for (const Command* sub : command.subcommands) {
    reply.Bulk(sub->spec->name);
    ReplyDocs(reply, *sub);
  }
}

void CommandDocs(Context& context) {
  std::vector<const Command*> wanted;
  if (context.argc() == 2) wanted = TopLevel();
  for (size_t i = 2; i < context.argc(); i++) {
    if (const Command* command = FindNamed(context.arg(i))) wanted.push_back(command);
  }
  context.reply().MapHeader(wanted.size());
  for (const Command* command : wanted) {
    context.reply().Bulk(command->container != nullptr ? std::string_view(command->spec->name)
                                                       : std::string_view(command->name));
    ReplyDocs(context.reply(), *command);
  }
}

// --- LIST

void CommandList(Context& context) {
  std::string_view category;
  std::string_view pattern;
  bool none = false;
  if (context.argc() == 5 && ArgIs(context, 2, "FILTERBY")) {
    if (ArgIs(context, 3, "ACLCAT")) {
      category = context.arg(4);
    } else if (ArgIs(context, 3, "PATTERN")) {
      pattern = context.arg(4);
    } else if (ArgIs(context, 3, "MODULE")) {
      none = true;  // there are no modules
    } else {
      context.reply().Error(errors::kSyntax);
      return;
    }
  } else if (context.argc() != 2) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  uint32_t bit = 0;
  for (const Named& each : AclCategories()) bit |= EqualsNoCase(category, each.name) ? each.bit : 0;
  std::vector<std::string_view> names;
  auto consider = [&](const Command& command) {
    std::string_view name =
        command.container != nullptr ? std::string_view(command.spec->name) : std::string_view(command.name);
    if (none || (!category.empty() && !(CategoriesOf(*command.spec) & bit))) return;
    if (!pattern.empty() && !GlobMatch(pattern, name, true)) return;
    names.push_back(name);
  };
  for (const Command* command : TopLevel()) {
    consider(*command);
    for (const Command* sub : command->subcommands) consider(*sub);
  }
  context.reply().ArrayHeader(names.size());
  for (std::string_view name : names) context.reply().Bulk(name);
}

// --- GETKEYS

void GetKeysGeneric(Context& context, bool with_flags) {
  std::span<const std::string_view> argv = context.argv().subspan(2);
  Reply& reply = context.reply();
  const Command* container;
  const Command* command = registry.Resolve(argv, &container);
  if (command == nullptr) {
    reply.Error("ERR Invalid command specified");
    return;
  }
  // A channel of a shard has a slot like a key, but is none.
  if (command->spec->find_keys == nullptr &&
      (KeySpecCount(*command->spec) == 0 || (command->spec->keys[0].flags & kKeyNotKey) != 0)) {
    reply.Error("ERR The command has no key arguments");
    return;
  }
  if (!command->ArityFits(argv.size())) {
    reply.Error("ERR Invalid number of arguments specified for command");
    return;
  }
  std::vector<KeyPosition> keys;
  bool found = FindKeys(*command, argv, &keys) && !keys.empty();
  if (!found && (command->flags & kNoMandatoryKeys) == 0) {
    reply.Error("ERR Invalid arguments specified for command");
    return;
  }
  reply.ArrayHeader(keys.size());
  for (const KeyPosition& key : keys) {
    if (with_flags) reply.ArrayHeader(2);
    reply.Bulk(argv[key.index]);
    if (with_flags) ReplyNames(reply, kKeyFlagNames, KeyFlagsOf(*command, argv, key), "", true);
  }
}

void CommandGetkeys(Context& context) { GetKeysGeneric(context, false); }
void CommandGetkeysandflags(Context& context) { GetKeysGeneric(context, true); }

constexpr uint32_t kFlags = kLoading | kStale;
constexpr const char* kAnyOrder = "nondeterministic_output_order";

constexpr CommandSpec kRows[] = {
    {"command",
     -1,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "2.8.13",
     "O(N) where N is the number of commands",
     "Describes all commands.",
     "",
     CommandAll,
     nullptr,
     kAnyOrder},
    {"command|count",
     2,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "2.8.13",
     "O(1)",
     "Counts the commands.",
     "",
     CommandCount},
    {"command|docs",
     -2,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "7.0.0",
     "O(N) where N is the number of commands asked for",
     "Documents commands.",
     "[command-name [command-name ...]]",
     CommandDocs,
     nullptr,
     kAnyOrder},
    {"command|getkeys",
     -4,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "2.8.13",
     "O(N) where N is the number of arguments",
     "Answers the keys of a whole command.",
     "command [arg [arg ...]]",
     CommandGetkeys},
    {"command|getkeysandflags",
     -4,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "7.0.0",
     "O(N) where N is the number of arguments",
     "Answers the keys of a whole command and what it does with them.",
     "command [arg [arg ...]]",
     CommandGetkeysandflags},
    {"command|help",
     2,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "5.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"command|info",
     -2,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "2.8.13",
     "O(N) where N is the number of commands asked for",
     "Describes commands.",
     "[command-name [command-name ...]]",
     CommandInfo,
     nullptr,
     kAnyOrder},
    {"command|list",
     -2,
     kFlags,
     {},
     kCatConnection,
     Group::kServer,
     "7.0.0",
     "O(N) where N is the number of commands",
     "Answers the names of commands.",
     "[FILTERBY MODULE module-name|ACLCAT category|PATTERN pattern]",
     CommandList,
     nullptr,
     kAnyOrder},
};

}  // namespace

const CommandTable kCommandCommands = kRows;

}  // namespace brim
