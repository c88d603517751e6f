#include "script/libraries.h"

#include <set>

#include "base/ascii.h"

namespace brim {

Libraries libraries;

size_t Library::bytes() const {
  size_t bytes = sizeof *this + name.capacity() + text.capacity();
  for (const auto& function : functions) {
    bytes += sizeof *function + function->name.capacity() + function->description.capacity();
  }
  return bytes;
}

LibraryPtr Libraries::Make(std::string_view name, std::string_view text, size_t body,
                           const std::vector<RegisteredFunction>& functions) {
  auto library = std::make_shared<Library>();
  library->id = ++last_id_;
  library->name = name;
  library->text = text;
  library->body = body;
  for (const RegisteredFunction& registered : functions) {
    auto function = std::make_unique<Function>();
    function->name = registered.name;
    function->description = registered.description;
    function->described = registered.described;
    function->flags = registered.flags;
    function->library = library.get();
    library->functions.push_back(std::move(function));
  }
  library->charge.Set(library->bytes());
  return library;
}

Function* Libraries::Find(std::string_view name) const {
  auto it = functions_.find(LowerCase(name));
  return it == functions_.end() ? nullptr : it->second;
}

bool Libraries::Check(const std::vector<LibraryPtr>& fresh, Policy policy, std::string* error) const {
  std::set<std::string> names;
  std::set<std::string_view> going;
  for (const LibraryPtr& library : fresh) going.insert(library->name);
  for (const LibraryPtr& library : fresh) {
    if (policy == Policy::kAppend && libraries_.count(library->name) > 0) {
      *error = "ERR Library " + library->name + " already exists";
      return false;
    }
    for (const auto& function : library->functions) {
      const Function* there = policy == Policy::kFlush ? nullptr : Find(function->name);
      bool stays = there != nullptr && (policy == Policy::kAppend || going.count(there->library->name) == 0);
      if (stays || !names.insert(LowerCase(function->name)).second) {
        *error = "ERR Function " + function->name + " already exists";
        return false;
      }
    }
  }
  return true;
}

void Libraries::Put(const std::vector<LibraryPtr>& fresh, Policy policy) {
  if (policy == Policy::kFlush) Clear();
  for (const LibraryPtr& library : fresh) {
    if (auto it = libraries_.find(library->name); it != libraries_.end()) Remove(it);
  }
  for (const LibraryPtr& library : fresh) {
    libraries_[library->name] = library;
    bytes_ += static_cast<int64_t>(library->bytes());
    for (const auto& function : library->functions) functions_[LowerCase(function->name)] = function.get();
  }
  Changed();
}

void Libraries::Remove(LibraryMap::iterator it) {
  for (const auto& function : it->second->functions) functions_.erase(LowerCase(function->name));
  bytes_ -= static_cast<int64_t>(it->second->bytes());
  libraries_.erase(it);
}

bool Libraries::Delete(std::string_view name) {
  auto it = libraries_.find(name);
  if (it == libraries_.end()) return false;
  Remove(it);
  Changed();
  return true;
}

void Libraries::Clear() {
  functions_.clear();
  libraries_.clear();
  bytes_ = 0;
  Changed();
}

void Libraries::Changed() {
  generation_++;
  count_.store(libraries_.size(), std::memory_order_relaxed);
  function_count_.store(functions_.size(), std::memory_order_relaxed);
}

}  // namespace brim
