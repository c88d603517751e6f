#pragma once
// How ps shows the process: the setting proc-title-template, written over the program's arguments. Main thread, and
// while all threads stand.
#include <string>

namespace brim {

struct Config;

// The template with its {variables} filled in, without blanks at its ends. False when one is unknown or not closed.
bool ExpandTitle(const std::string& pattern, const Config& config, const std::string& config_file, std::string* title);

// Before anything else: the place of the arguments and of the environment, which moves elsewhere, is the title's.
void ReserveTitle(int argc, char** argv);

// Nothing happens when set-proc-title is off, or no place was reserved.
void ShowTitle(const Config& config, const std::string& config_file);

}  // namespace brim
