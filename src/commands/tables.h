#pragma once
// The command tables of this folder, one beside each family's handlers. main.cc lists them.
#include "command/spec.h"

namespace brim {

extern const CommandTable kStringCommands;
extern const CommandTable kStringNumberCommands;
extern const CommandTable kStringRangeCommands;
extern const CommandTable kStringConditionalCommands;
extern const CommandTable kBitmapCommands;
extern const CommandTable kBitfieldCommands;
extern const CommandTable kHyperLogLogCommands;
extern const CommandTable kHashCommands;
extern const CommandTable kHashExpiryCommands;
extern const CommandTable kListCommands;
extern const CommandTable kListBlockingCommands;
extern const CommandTable kSetCommands;
extern const CommandTable kSetAlgebraCommands;
extern const CommandTable kSortedSetCommands;
extern const CommandTable kSortedSetRangeCommands;
extern const CommandTable kSortedSetPopCommands;
extern const CommandTable kSortedSetAlgebraCommands;
extern const CommandTable kGeoCommands;
extern const CommandTable kGeoSearchCommands;
extern const CommandTable kKeyCommands;
extern const CommandTable kKeyspaceCommands;
extern const CommandTable kExpireCommands;
extern const CommandTable kObjectCommands;
extern const CommandTable kSortCommands;
extern const CommandTable kStreamCommands;
extern const CommandTable kStreamReadCommands;
extern const CommandTable kStreamGroupCommands;
extern const CommandTable kStreamClaimCommands;
extern const CommandTable kStreamInfoCommands;
extern const CommandTable kStreamIdempotencyCommands;

}  // namespace brim
