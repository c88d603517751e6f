#include "server/config.h"

#include <algorithm>
#include <set>

#include "base/ascii.h"
#include "base/glob.h"
#include "base/numbers.h"
#include "base/quoting.h"
#include "server/config_table.h"

namespace brim {

namespace {

bool IsPattern(const std::string& text) { return text.find_first_of("*?[") != std::string::npos; }

bool ReadBool(const std::string& text, std::string* canonical, std::string* reason) {
  *canonical = LowerCase(text);
  if (*canonical == "yes" || *canonical == "no") return true;
  *reason = "argument must be 'yes' or 'no'";
  return false;
}

bool OutOfRange(const Setting& row, std::string* reason) {
  if (row.kind == SettingKind::kOctal) {
    *reason = "argument must be between 0 and 777 inclusive";
  } else {
    *reason = "argument must be between " + std::to_string(row.min) + " and " + std::to_string(row.max) + " inclusive";
  }
  return false;
}

bool ReadNumber(const Setting& row, const std::string& text, int64_t* value, std::string* canonical,
                std::string* reason) {
  switch (row.kind) {
    case SettingKind::kMemory: {
      if (text.empty()) *value = 0;
      bool too_large;
      if (text.empty() || ParseMemorySize(text, value, &too_large)) break;
      if (too_large) return OutOfRange(row, reason);
      *reason = "argument must be a memory value";
      return false;
    }
    case SettingKind::kOctal: {
      char* end;
      *value = strtol(text.c_str(), &end, 8);
      if (!text.empty() && *end == '\0') break;
      *reason = "argument couldn't be parsed as an octal number";
      return false;
    }
    default:
      if (ParseInt64(text, value)) break;
      *reason = "argument couldn't be parsed into an integer";
      return false;
  }
  if (row.kind == SettingKind::kOctal) {
    char octal[24];
    snprintf(octal, sizeof(octal), "%lo", static_cast<long>(*value));
    *canonical = octal;
  } else {
    *canonical = std::to_string(*value);
  }
  // The row for `threads` says 0 for "as many as cores"; nobody else may.
  return (*value >= row.min && *value <= row.max) || OutOfRange(row, reason);
}

bool ReadEnum(const Setting& row, const std::string& text, std::string* canonical, std::string* reason) {
  std::vector<std::string> choices;
  SplitWords(row.choices, &choices);
  *canonical = LowerCase(text);
  if (std::find(choices.begin(), choices.end(), *canonical) != choices.end()) return true;
  *reason = "argument(s) must be one of the following: ";
  for (size_t i = 0; i < choices.size(); i++) *reason += (i == 0 ? "" : ", ") + choices[i];
  return false;
}

}  // namespace

ConfigStore::ConfigStore() : texts_(Settings().size()) {
  std::string reason;
  for (size_t i = 0; i < Settings().size(); i++) {
    const Setting& row = Settings()[i];
    texts_[i] = row.initial;
    if (row.apply != nullptr) {
      row.apply(values_, row.initial, &texts_[i], &reason);
    } else {
      Assign(i, row.initial, &reason);
    }
  }
}

// Checks the text by the row's kind and puts it in place. Nothing changes when it is refused.
bool ConfigStore::Assign(size_t index, const std::string& text, std::string* reason) {
  const Setting& row = Settings()[index];
  std::string canonical = text;
  int64_t number = 0;
  switch (row.kind) {
    case SettingKind::kBool:
      if (!ReadBool(text, &canonical, reason)) return false;
      break;
    case SettingKind::kInt:
    case SettingKind::kMemory:
    case SettingKind::kOctal:
      if (!ReadNumber(row, text, &number, &canonical, reason)) return false;
      break;
    case SettingKind::kEnum:
      if (!ReadEnum(row, text, &canonical, reason)) return false;
      break;
    case SettingKind::kText:
    case SettingKind::kWords:
      break;
  }
  if (row.apply != nullptr && !row.apply(values_, canonical, &canonical, reason)) return false;
  if (row.target.flag != nullptr) values_.*row.target.flag = canonical == "yes";
  if (row.target.number != nullptr) values_.*row.target.number = static_cast<int>(number);
  if (row.target.wide != nullptr) values_.*row.target.wide = number;
  if (row.target.text != nullptr) values_.*row.target.text = canonical;
  texts_[index] = canonical;
  return true;
}

std::vector<std::pair<std::string, std::string>> ConfigStore::Get(const std::vector<std::string>& patterns) const {
  std::vector<std::pair<std::string, std::string>> found;
  std::set<std::string> seen;
  auto show = [&](const char* name, size_t row) {
    if (seen.insert(name).second) found.emplace_back(name, texts_[row]);
  };
  for (const std::string& pattern : patterns) {
    bool many = IsPattern(pattern);
    for (size_t i = 0; i < Settings().size(); i++) {
      const Setting& row = Settings()[i];
      if (many && (row.flags & kNeverShown)) continue;
      for (const char* name : {row.name, row.alias}) {
        if (name != nullptr && GlobMatch(pattern, name, true)) show(name, i);
      }
    }
  }
  return found;
}

bool ConfigStore::Set(const std::vector<std::pair<std::string, std::string>>& settings, std::string* error) {
  auto fail = [error](const std::string& name, const std::string& reason) {
    *error = "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + reason;
    return false;
  };
  std::vector<size_t> rows;
  for (const auto& [name, text] : settings) {
    int row = FindSetting(name);
    if (row < 0) {
      *error = "ERR Unknown option or number of arguments for CONFIG SET - '" + name + "'";
      return false;
    }
    const Setting& setting = Settings()[static_cast<size_t>(row)];
    if (setting.flags & kImmutable) return fail(name, "can't set immutable config");
    if ((setting.flags & kGuarded) && !values_.enable_protected_configs)
      return fail(name, "can't set protected config");
    if (std::find(rows.begin(), rows.end(), static_cast<size_t>(row)) != rows.end())
      return fail(name, "duplicate parameter");
    rows.push_back(static_cast<size_t>(row));
  }
  Config before = values_;
  std::vector<std::string> texts_before = texts_;
  std::string reason;
  std::string culprit;
  for (size_t i = 0; i < rows.size(); i++) {
    if (Assign(rows[i], settings[i].second, &reason)) continue;
    values_ = before;
    texts_ = texts_before;
    return fail(settings[i].first, reason);
  }
  if (apply_ == nullptr || apply_(before, settings, &culprit, &reason)) return true;
  values_ = before;
  texts_ = texts_before;
  return fail(culprit, reason);
}

}  // namespace brim
