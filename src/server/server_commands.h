#pragma once
// The tables of commands that speak of the server and its connections rather than of keys; main.cc lists them.
#include "command/spec.h"

namespace brim {

extern const CommandTable kConnectionCommands;   // connection_commands.cc
extern const CommandTable kClientCommands;       // client_commands.cc: CLIENT
extern const CommandTable kTrackingCommands;     // tracking_commands.cc: CLIENT TRACKING and its relatives
extern const CommandTable kPubSubCommands;       // pubsub_commands.cc: SUBSCRIBE PUBLISH PUBSUB ...
extern const CommandTable kTransactionCommands;  // transaction.cc
extern const CommandTable kConfigCommands;       // config_commands.cc: CONFIG
extern const CommandTable kCommandCommands;      // command_commands.cc: COMMAND
extern const CommandTable kInfoCommands;         // info.cc: INFO
extern const CommandTable kMemoryCommands;       // memory_commands.cc: MEMORY
extern const CommandTable kDebugCommands;        // debug_commands.cc: DEBUG
extern const CommandTable kAdminCommands;        // admin_commands.cc: TIME ROLE SHUTDOWN
extern const CommandTable kPersistenceCommands;  // persistence_commands.cc: SAVE BGSAVE LASTSAVE
extern const CommandTable kDumpCommands;         // dump_commands.cc: DUMP RESTORE
extern const CommandTable kMigrateCommands;      // migrate_command.cc: MIGRATE
extern const CommandTable kCommandLogCommands;   // command_log_commands.cc: SLOWLOG COMMANDLOG
extern const CommandTable kLatencyCommands;      // latency_commands.cc: LATENCY
extern const CommandTable kLolwutCommands;       // lolwut_command.cc: LOLWUT

extern const CommandTable kClusterCommands;  // cluster_commands.cc: CLUSTER ASKING READONLY READWRITE
extern const CommandTable kModuleCommands;   // module_commands.cc: MODULE
extern const CommandTable kHotKeysCommands;  // hot_keys_commands.cc: HOTKEYS
extern const CommandTable kMonitorCommands;  // monitor.cc: MONITOR

extern const CommandTable kAclCommands;  // acl_commands.cc: ACL

}  // namespace brim
