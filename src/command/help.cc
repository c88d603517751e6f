#include "command/help.h"

#include <string>
#include <vector>

#include "command/registry.h"

namespace brim {

namespace {

std::string Upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return result;
}

}  // namespace

void ContainerHelp(Context& context) {
  std::string_view name = context.spec().name;
  const Command* container = registry.Find(name.substr(0, name.find('|')));
  std::vector<std::string> lines;
  lines.push_back(Upper(name.substr(0, name.find('|'))) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  if (container != nullptr) {
    for (const Command* sub : container->subcommands) {
      if (sub->handler == ContainerHelp) continue;
      std::string_view sub_name = sub->spec->name;
      std::string line = Upper(sub_name.substr(sub_name.find('|') + 1));
      if (*sub->spec->syntax != '\0') line += " " + std::string(sub->spec->syntax);
      lines.push_back(line);
      lines.push_back("    " + std::string(sub->spec->summary));
    }
  }
  lines.emplace_back("HELP");
  lines.emplace_back("    Print this help.");
  context.reply().ArrayHeader(lines.size());
  for (const std::string& line : lines) context.reply().Simple(line);
}

}  // namespace brim
