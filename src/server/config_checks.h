#pragma once
// Settings whose values want more than their kind's check: Setting::apply of config_table.cc. Each puts the value into
// *config and its form for CONFIG GET into *canonical, or answers false with the reason as redis-server words it.
#include <string>

#include "server/config.h"

namespace brim {

bool ApplyBind(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyThreads(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyDir(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyHz(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyDebugCommand(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyModuleCommand(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyProtectedConfigs(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyPolicy(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyNotify(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyOutputLimits(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyDbFileName(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyAppendFileName(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyAppendDirName(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyTitleTemplate(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool CheckHostname(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyBacklogSize(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyPercentiles(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyMaxmemory(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyMaxmemoryClients(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplyOomScores(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool CheckReplicaOf(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplySave(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplySigint(Config& config, const std::string& text, std::string* canonical, std::string* reason);
bool ApplySigterm(Config& config, const std::string& text, std::string* canonical, std::string* reason);

}  // namespace brim
