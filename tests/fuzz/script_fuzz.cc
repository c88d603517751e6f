// What scripts do with bytes from outside: replies of every shape become Lua values and replies again; cmsgpack, struct
// and cjson read hostile bytes; texts are compiled and run for a moment.
#include <cstdlib>
#include <cstring>

#include "script/interpreter.h"
#include "script/values.h"

namespace brim {
namespace {

constexpr int kInstructions = 200'000;
constexpr size_t kTextMax = 2000;

// Draws choices from the input.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t Byte() { return at_ < size_ ? data_[at_++] : 0; }
  std::string_view Text() {
    size_t wanted = Byte() % 40;
    size_t size = std::min(wanted, size_ - at_);
    std::string_view text(reinterpret_cast<const char*>(data_ + at_), size);
    at_ += size;
    return text;
  }
  std::string_view Rest() const { return {reinterpret_cast<const char*>(data_ + at_), size_ - at_}; }
  bool over() const { return at_ >= size_; }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

std::string Line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  return line;
}

// A reply as handlers write them. Returns how many there are: one.
void WriteReply(Choices& choices, Reply& reply, int depth) {
  size_t count = choices.Byte() % 5;
  switch (choices.Byte() % (depth > 6 ? 10 : 15)) {
    case 0:
      return reply.Integer(static_cast<int64_t>(choices.Byte() * uint64_t{0x0101010101010101}));
    case 1:
      return reply.Bulk(choices.Text());
    case 2:
      return reply.Simple(Line(choices.Text()));
    case 3:
      return reply.Error("E" + std::string(choices.Text()));
    case 4:
      return reply.Null();
    case 5:
      return reply.NullArray();
    case 6:
      return reply.Double(static_cast<double>(choices.Byte()) / 7);
    case 7:
      return reply.Bool(count > 2);
    case 8:
      return reply.Verbatim(choices.Text(), "txt");
    case 9:
      return reply.BigNumber("12345678901234567890123");
    case 10:
    case 11:
      reply.ArrayHeader(count);
      break;
    case 12:
      reply.MapHeader(count);
      count *= 2;
      break;
    case 13:
      reply.SetHeader(count);
      break;
    default:
      reply.PushHeader(count);
  }
  for (size_t i = 0; i < count; i++) WriteReply(choices, reply, depth + 1);
}

struct Conversion {
  std::string_view text;
  Reply* reply;
  int script_resp;
};

int Convert(lua_State* L) {
  auto& what = *static_cast<Conversion*>(lua_touserdata(L, 1));
  PushReply(L, what.text);
  bool counted = false;
  WriteValue(L, *what.reply, what.script_resp, &counted);
  return 0;
}

std::string Flat(const OutputBuffer& buffer) {
  std::string flat;
  iovec pieces[64];
  int count = buffer.Gather(pieces, 64);
  for (int i = 0; i < count; i++) flat.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  return flat;
}

void ThereAndBack(Interpreter& interpreter, Choices choices) {
  int resp = 2 + choices.Byte() % 2;
  OutputBuffer buffer;
  Reply reply(&buffer, resp);
  WriteReply(choices, reply, 0);
  std::string text = Flat(buffer);
  OutputBuffer answer;
  Reply again(&answer, 2 + choices.Byte() % 2);
  Conversion conversion{text, &again, resp};
  if (lua_cpcall(interpreter.state(), Convert, &conversion) != 0) lua_pop(interpreter.state(), 1);
}

// Functions of Lua that get the input: a byte says which.
constexpr const char* kFunctions = R"(
  local function all(...) return {...} end
  local functions = {
    function(d) return cmsgpack.pack(cmsgpack.unpack(d)) end,
    function(d, n) return all(cmsgpack.unpack_one(d, n)) end,
    function(d, n) return all(cmsgpack.unpack_limit(d, 3, n)) end,
    function(d, n, f) return all(struct.unpack(f, d, n)) end,
    function(d, n, f) return struct.pack(f, n, d, n, d, 1.5, -n) end,
    function(d, n, f) return struct.size(d) end,
    function(d) return cjson.encode(cjson.decode(d)) end,
    function(d, n) math.randomseed(n) return string.format('%q', d) .. math.random(1, n) end,
    -- Short: the matcher tries all ways.
    function(d, n, f) return all(string.find(d:sub(1, 60), f:sub(1, 8), n)) end,
    function(d, n, f) return string.gsub(d:sub(1, 60), f:sub(1, 8), '%0%1') end,
    function(d, n) return string.rep(d, n * 1000) end,
    function(d) return cmsgpack.pack(cjson.decode(d)) end,
  }
  local which, data, number, format = ...
  return functions[which % #functions + 1](data, number, format)
)";

void Hook(lua_State* L, lua_Debug*) { luaL_error(L, "enough"); }

void Run(Interpreter& interpreter, int reference, Choices choices) {
  lua_State* L = interpreter.state();
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  lua_pushinteger(L, choices.Byte());
  int number = choices.Byte();
  std::string_view format = choices.Text();
  std::string_view rest = choices.Rest();
  lua_pushlstring(L, rest.data(), rest.size());
  lua_pushinteger(L, number);
  lua_pushlstring(L, format.data(), format.size());
  lua_sethook(L, Hook, LUA_MASKCOUNT, kInstructions);
  lua_pcall(L, 4, 0, 0);
  lua_settop(L, 2);
}

// A text of a script: compiled, and run without commands.
void RunText(Interpreter& interpreter, std::string_view text) {
  int reference;
  std::string error;
  if (text.size() > kTextMax || !interpreter.Compile(text, "@user_script", &reference, &error)) return;
  lua_State* L = interpreter.state();
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  lua_sethook(L, Hook, LUA_MASKCOUNT, kInstructions);
  lua_pcall(L, 0, 0, 0);
  lua_settop(L, 2);
  interpreter.Release(reference);
}

}  // namespace
}  // namespace brim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace brim;
  static Interpreter* interpreter = nullptr;
  static int functions;
  if (size == 0) return 0;
  if (interpreter == nullptr || interpreter->refused()) {
    script_memory_limit = 16 << 20;
    delete interpreter;
    interpreter = new Interpreter(ScriptKind::kEval);
    std::string error;
    if (!interpreter->good() || !interpreter->Compile(kFunctions, "@fuzz", &functions, &error)) abort();
  }
  Choices choices(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      ThereAndBack(*interpreter, choices);
      break;
    case 1:
      Run(*interpreter, functions, choices);
      break;
    default:
      RunText(*interpreter, choices.Rest());
  }
  return 0;
}
