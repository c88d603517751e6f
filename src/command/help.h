#pragma once
// HELP of a container command (OBJECT HELP, CLIENT HELP ...), made from the table's rows.
#include "command/context.h"

namespace brim {

// Handler of every "<container>|help" row: lists the container's other subcommands, their arguments and summaries.
void ContainerHelp(Context& context);

}  // namespace brim
