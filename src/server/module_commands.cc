// MODULE: no module can be loaded, so there are none.
#include <string>

#include "command/help.h"
#include "server/log.h"
#include "server/server_commands.h"
#include "server/server_context.h"

namespace brim {

namespace {

void ModuleList(Context& context) { context.reply().ArrayHeader(0); }

void ModuleLoad(Context& context) {
  LogWarning("Module " + std::string(context.arg(2)) + " failed to load: modules of redis-server cannot be used here");
  context.reply().Error("ERR Error loading the extension. Please check the server logs.");
}

void ModuleUnload(Context& context) {
  context.reply().Error("ERR Error unloading module: no such module with that name");
}

constexpr uint32_t kChanges = kAdmin | kNoScript | kNoAsyncLoading | kProtected;

constexpr CommandSpec kRows[] = {
    {"module",
     -2,
     0,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "Depends on the subcommand",
     "Commands about modules.",
     "",
     nullptr},
    {"module|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kServer,
     "5.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"module|list",
     2,
     kAdmin | kNoScript,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "O(1)",
     "Lists the modules.",
     "",
     ModuleList,
     nullptr,
     "nondeterministic_output_order"},
    {"module|load",
     -3,
     kChanges,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "O(1)",
     "Refused: there is nothing that could load one.",
     "path [arg [arg ...]]",
     ModuleLoad},
    {"module|loadex",
     -3,
     kChanges,
     {},
     0,
     Group::kServer,
     "7.0.0",
     "O(1)",
     "Refused, as MODULE LOAD is.",
     "path [CONFIG name value [CONFIG name value ...]] [ARGS arg [arg ...]]",
     ModuleLoad},
    {"module|unload",
     3,
     kChanges,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "O(1)",
     "Refused: none is loaded.",
     "name",
     ModuleUnload},
};

}  // namespace

const CommandTable kModuleCommands = kRows;

}  // namespace brim
