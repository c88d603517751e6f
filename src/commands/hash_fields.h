#pragma once
// Handlers of the hash commands that walk or draw fields; their rows are in hashes.cc.
#include "command/context.h"

namespace brim {

void Hrandfield(Context& context);
void Hscan(Context& context);

}  // namespace brim
