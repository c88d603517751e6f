// FUNCTION: the libraries of functions.
#include <optional>

#include "base/glob.h"
#include "base/monotonic.h"
#include "command/help.h"
#include "commands/arguments.h"
#include "persist/dump_footer.h"
#include "persist/rdb_format.h"
#include "persist/rdb_input.h"
#include "persist/rdb_reader.h"
#include "persist/rdb_writer.h"
#include "script/script_commands.h"
#include "script/shebang.h"
#include "script/slow_run.h"
#include "server/script_watch.h"
#include "server/server_context.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

WorkerScripts& ScriptsOf(Context& context) { return WorkerScripts::Of(AsServer(context).worker().index()); }

void ReplyBadSubcommand(Context& context) {
  context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" +
                        std::string(context.arg(1).substr(0, 128)) + "'. Try FUNCTION HELP.");
}

void FunctionLoad(Context& context) {
  bool replace = false;
  for (size_t i = 2; i + 1 < context.argc(); i++) {
    if (!ArgIs(context, i, "REPLACE")) {
      std::string_view option = context.arg(i);
      while (option.ends_with('\n') || option.ends_with('\r')) option.remove_suffix(1);
      context.reply().Error("ERR Unknown option given: " + std::string(option));
      return;
    }
    replace = true;
  }
  std::string name;
  std::string error;
  if (!PutLibrary(ScriptsOf(context), context.arg(context.argc() - 1), replace, &name, &error)) {
    context.reply().Error(error);
    return;
  }
  context.CountChanges(1);
  context.reply().Bulk(name);
}

void FunctionDelete(Context& context) {
  if (!libraries.Delete(context.arg(2))) {
    context.reply().Error("ERR Library not found");
    return;
  }
  context.CountChanges(1);
  context.reply().Ok();
}

void FunctionFlush(Context& context) {
  bool now = !lazyfree.user_flush;
  if (context.argc() == 3 && ArgIs(context, 2, "SYNC")) {
    now = true;
  } else if (context.argc() == 3 && ArgIs(context, 2, "ASYNC")) {
    now = false;
  } else if (context.argc() > 3) {
    ReplyBadSubcommand(context);
    return;
  } else if (context.argc() != 2) {
    context.reply().Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    return;
  }
  libraries.Clear();
  if (now) {
    for (auto& scripts : WorkerScripts::All()) scripts->CloseLibraries();
  }
  context.CountChanges(1);
  context.reply().Ok();
}

// ---- FUNCTION LIST, STATS

void ReplyFunction(Reply& reply, const Function& function) {
  reply.MapHeader(3);
  reply.Bulk("name");
  reply.Bulk(function.name);
  reply.Bulk("description");
  function.described ? reply.Bulk(function.description) : reply.Null();
  reply.Bulk("flags");
  size_t count = 0;
  for (const ScriptFlagName& flag : kScriptFlagNames) count += (function.flags & flag.flag) != 0;
  reply.SetHeader(count);
  for (const ScriptFlagName& flag : kScriptFlagNames) {
    if (function.flags & flag.flag) reply.Simple(flag.name);
  }
}

void ReplyLibrary(Reply& reply, const Library& library, bool with_code) {
  reply.MapHeader(with_code ? 4 : 3);
  reply.Bulk("library_name");
  reply.Bulk(library.name);
  reply.Bulk("engine");
  reply.Bulk("LUA");
  reply.Bulk("functions");
  reply.ArrayHeader(library.functions.size());
  for (const auto& function : library.functions) ReplyFunction(reply, *function);
  if (!with_code) return;
  reply.Bulk("library_code");
  reply.Bulk(library.text);
}

void FunctionList(Context& context) {
  bool with_code = false;
  bool matching = false;
  std::string_view pattern;
  for (size_t i = 2; i < context.argc(); i++) {
    if (!with_code && ArgIs(context, i, "WITHCODE")) {
      with_code = true;
    } else if (!matching && ArgIs(context, i, "LIBRARYNAME")) {
      if (++i == context.argc()) {
        context.reply().Error("ERR library name argument was not given");
        return;
      }
      matching = true;
      pattern = context.arg(i);
    } else {
      context.reply().Error("ERR Unknown argument " + std::string(context.arg(i)));
      return;
    }
  }
  size_t count = 0;
  size_t token = context.reply().BeginDeferred();
  for (const auto& [name, library] : libraries.all()) {
    if (matching && !GlobMatch(pattern, name, true)) continue;
    ReplyLibrary(context.reply(), *library, with_code);
    count++;
  }
  context.reply().EndDeferredArray(token, count);
}

void FunctionStats(Context& context) {
  Reply& reply = context.reply();
  std::optional<SlowRun> slow = AnySlowRun();
  if (slow && !slow->function) {
    reply.Error(errors::kBusyScript);
    return;
  }
  reply.MapHeader(2);
  reply.Bulk("running_script");
  if (slow) {
    reply.MapHeader(3);
    reply.Bulk("name");
    reply.Bulk(slow->name);
    reply.Bulk("command");
    reply.ArrayHeader(slow->command.size());
    for (const std::string& word : slow->command) reply.Bulk(word);
    reply.Bulk("duration_ms");
    reply.Integer((MonotonicUs() - slow->began_us) / 1000);
  } else {
    reply.Null();
  }
  reply.Bulk("engines");
  reply.MapHeader(1);
  reply.Bulk("LUA");
  reply.MapHeader(2);
  reply.Bulk("libraries_count");
  reply.Integer(static_cast<int64_t>(libraries.count()));
  reply.Bulk("functions_count");
  reply.Integer(static_cast<int64_t>(libraries.function_count()));
}

void FunctionKill(Context& context) { KillSlowScripts(context, true); }

// ---- FUNCTION DUMP, RESTORE: each library as in an RDB file, then version and checksum as DUMP has them

void FunctionDump(Context& context) {
  RdbWriter writer(true);
  for (const auto& [name, library] : libraries.all()) writer.Function(library->text);
  writer.Footer(rdb::kVersion);
  context.reply().Bulk(writer.bytes());
}

// The libraries' texts. False with the error reply's text.
bool ReadDump(std::string_view payload, std::vector<std::string>* texts, std::string* error) {
  uint16_t version;
  if (!DumpFooterIsGood(payload, &version)) {
    *error = "ERR DUMP payload version or checksum are wrong";
    return false;
  }
  payload.remove_suffix(kDumpFooterBytes);
  MemoryInput input(payload);
  RdbReader reader(input);
  while (input.offset() < payload.size()) {
    uint8_t opcode;
    if (!reader.Byte(&opcode)) return false;
    if (opcode == rdb::kFunctionPreGa) {
      *error = "ERR Pre-GA function format not supported";
      return false;
    }
    if (opcode != rdb::kFunction2) {
      *error = "ERR given type is not a function";
      return false;
    }
    if (!reader.String(&texts->emplace_back())) {
      *error = "ERR Failed loading library data";
      return false;
    }
  }
  return true;
}

struct Staged {
  std::vector<LibraryPtr> libraries;
  std::vector<std::vector<RegisteredFunction>> functions;
};

// Runs the body of each. False with the error reply's text, and nothing is left.
bool StageLibrary(WorkerScripts& scripts, std::string_view text, Staged* staged, std::string* error) {
  ScriptHead head;
  if (!ReadLibraryHead(text, &head, error)) return false;
  std::vector<RegisteredFunction> functions;
  if (!scripts.TryLibrary(head.body, &functions, error)) return false;
  staged->libraries.push_back(Libraries::Make(head.name, text, text.size() - head.body.size(), functions));
  staged->functions.push_back(std::move(functions));
  return true;
}

// They come among the others, or go again.
bool CommitStaged(WorkerScripts& scripts, Staged& staged, Libraries::Policy policy, std::string* error) {
  bool good = error->empty() && libraries.Check(staged.libraries, policy, error);
  if (!good) {
    for (const auto& functions : staged.functions) scripts.Drop(functions);
    return false;
  }
  libraries.Put(staged.libraries, policy);
  for (size_t i = 0; i < staged.libraries.size(); i++) scripts.Adopt(staged.libraries[i], staged.functions[i]);
  return true;
}

void FunctionRestore(Context& context) {
  Libraries::Policy policy = Libraries::Policy::kAppend;
  if (context.argc() > 4) {
    ReplyBadSubcommand(context);
    return;
  }
  if (context.argc() == 4) {
    if (ArgIs(context, 3, "FLUSH")) {
      policy = Libraries::Policy::kFlush;
    } else if (ArgIs(context, 3, "REPLACE")) {
      policy = Libraries::Policy::kReplace;
    } else if (!ArgIs(context, 3, "APPEND")) {
      context.reply().Error("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
      return;
    }
  }
  std::vector<std::string> texts;
  std::string error;
  if (!ReadDump(context.arg(2), &texts, &error)) {
    context.reply().Error(error.empty() ? std::string("ERR Failed loading library data") : error);
    return;
  }
  Staged staged;
  for (const std::string& text : texts) {
    if (!StageLibrary(ScriptsOf(context), text, &staged, &error)) break;
  }
  if (!CommitStaged(ScriptsOf(context), staged, policy, &error)) {
    context.reply().Error(error);
    return;
  }
  context.CountChanges(1);
  context.reply().Ok();
}

constexpr const char* kAllNodes = "request_policy:all_shards,response_policy:all_succeeded";

constexpr CommandSpec kRows[] = {
    {"function",
     -2,
     0,
     {},
     0,
     Group::kScripting,
     "7.0.0",
     "Depends on the subcommand",
     "Commands about the libraries of functions.",
     "",
     nullptr},
    {"function|help",
     2,
     kLoading | kStale,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"function|load",
     -3,
     kNoScript | kWrite | kDenyOom | kExclusive,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(N) where N is the library's length",
     "Takes a library of functions.",
     "[REPLACE] function-code",
     FunctionLoad,
     nullptr,
     kAllNodes},
    {"function|delete",
     3,
     kNoScript | kWrite | kExclusive,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(N) where N is the number of functions",
     "Deletes a library and its functions.",
     "library-name",
     FunctionDelete,
     nullptr,
     kAllNodes},
    {"function|list",
     -2,
     kNoScript | kExclusive,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(N) where N is the number of functions",
     "Answers what libraries there are, and their functions.",
     "[LIBRARYNAME library-name-pattern] [WITHCODE]",
     FunctionList,
     nullptr,
     "nondeterministic_output_order"},
    {"function|stats",
     2,
     kNoScript | kAllowBusy,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(1)",
     "Answers which function runs for long, and how many there are.",
     "",
     FunctionStats,
     nullptr,
     "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {"function|kill",
     2,
     kNoScript | kAllowBusy,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(1)",
     "Ends the function that runs for too long, if it has not written yet.",
     "",
     FunctionKill,
     nullptr,
     "request_policy:all_shards,response_policy:one_succeeded"},
    {"function|flush",
     -2,
     kNoScript | kWrite | kExclusive,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(N) where N is the number of functions",
     "Deletes all libraries.",
     "[ASYNC|SYNC]",
     FunctionFlush,
     nullptr,
     kAllNodes},
    {"function|dump",
     2,
     kNoScript | kExclusive,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(N) where N is the length of all libraries",
     "Answers all libraries in the form that FUNCTION RESTORE takes.",
     "",
     FunctionDump},
    {"function|restore",
     -3,
     kNoScript | kWrite | kDenyOom | kExclusive,
     {},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "O(N) where N is the length of all libraries",
     "Takes the libraries that FUNCTION DUMP answered.",
     "serialized-value [FLUSH|APPEND|REPLACE]",
     FunctionRestore,
     nullptr,
     kAllNodes},
};

}  // namespace

const CommandTable kFunctionCommands = kRows;

bool PutLibrary(WorkerScripts& scripts, std::string_view text, bool replace, std::string* name, std::string* error) {
  ScriptHead head;
  if (!ReadLibraryHead(text, &head, error)) return false;
  if (!replace && libraries.all().count(head.name) > 0) {
    *error = "ERR Library '" + head.name + "' already exists";
    return false;
  }
  Staged staged;
  error->clear();
  if (!StageLibrary(scripts, text, &staged, error)) return false;
  if (name != nullptr) *name = head.name;
  return CommitStaged(scripts, staged, replace ? Libraries::Policy::kReplace : Libraries::Policy::kAppend, error);
}

}  // namespace brim
