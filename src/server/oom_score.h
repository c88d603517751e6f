#pragma once
// How willingly the kernel kills this process when memory runs out: the settings oom-score-adj and
// oom-score-adj-values. The file's meaning: the kernel's Documentation/filesystems/proc.rst, section 3.1.
#include <string>

namespace brim {

// Writes /proc/self/oom_score_adj. `mode` is the setting oom-score-adj: "relative" ("yes" is the same) adds `value` to
// the score that the process had when this was first called with a mode other than "no"; "absolute" takes `value` as it
// is; anything else is "no", which puts that first score back if it was changed, and otherwise touches nothing. The sum
// is brought into -1000..1000. `value` is the one of oom-score-adj-values for the role: primary, replica, background
// child (a forked child calls this itself and builds on its parent's first score).
// False with redis-server's text in `*error` when the system refuses: lower scores than the first one need
// CAP_SYS_RESOURCE. Not for two threads at once.
bool ApplyOomScore(const std::string& mode, int value, std::string* error);

}  // namespace brim
