#pragma once
// Scripts as the server sees them (server/script_engine.h).
#include "server/script_engine.h"

namespace brim {

class LuaEngine final : public ScriptEngine {
 public:
  ScriptReach ReachOf(ServerContext& context) override;
  bool SaysNoWrites(ServerContext& context) override;
  void Learn(ServerContext& context, ScriptReach reach) override;
  ScriptFigures Figures() override;
  std::vector<std::string> LibraryTexts() override;
  bool LoadLibrary(Worker& worker, const std::string& text, std::string* error) override;
  void DropLibraries() override;
  bool Tidy(Worker& worker, bool due) override;
};

extern LuaEngine lua_engine;

}  // namespace brim
