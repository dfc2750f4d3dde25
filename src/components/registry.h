// Registry: from the name in a configuration to a component. Filled by functions that are called
// (RegisterFormatsComponents(registry), …), so that a linker cannot lose one and the names can be read in one place.
//
// Built at start-up, then only read: reading is thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/json.h"
#include "base/result.h"

namespace fed_learn {

// What a component may be given besides its arguments: services, by constructor.
struct ComponentServices {
  Disk* disk = nullptr;    // of the process; outlives the component
  std::string app_folder;  // where relative paths in the arguments start
  std::string run_folder;  // where a run's results go (the default of model_log_dir)
};

// An entry of a configuration: {"name": "ModelAggregator", "args": {…}}.
struct ComponentSpec {
  std::string name;  // or the path of a class, "my_module.MyClass"
  Json args = Json::object();
};

// InvalidArgument if there is no "name", or an unknown key.
Result<ComponentSpec> ParseComponentSpec(const Json& json, std::string_view where);

template <typename Interface>
using ComponentFactory = std::function<Result<std::unique_ptr<Interface>>(const Json& args, const ComponentServices&)>;

template <typename Interface>
class FactoryTable {
 public:
  void Add(std::string name, ComponentFactory<Interface> factory) { factories_[std::move(name)] = std::move(factory); }

  // NotFound for a name nobody registered, with the nearest one that is; FailedPrecondition for a path (a name with a
  // dot: no built-in has one); the factory's error otherwise, with the name.
  Result<std::unique_ptr<Interface>> Make(const ComponentSpec& spec, const ComponentServices& services) const;

  std::vector<std::string> names() const;

 private:
  std::map<std::string, ComponentFactory<Interface>, std::less<>> factories_;
};

class Aggregator;
class DataProcessor;
class Fitter;
class ModelSaver;
class ModelSource;

class Registry {
 public:
  FactoryTable<DataProcessor> processors;
  FactoryTable<Aggregator> aggregators;
  FactoryTable<ModelSaver> savers;
  FactoryTable<ModelSource> sources;
  FactoryTable<Fitter> fitters;
};

// Reads arguments by name, remembering which were asked for, so that a misspelt one is refused.
//   Args args(json); auto bins = args.Int("bins", 1000); RETURN_IF_ERROR(args.Done());
class Args {
 public:
  explicit Args(const Json& json) : json_(json) {}
  std::int64_t Int(std::string_view name, std::int64_t absent);
  double Number(std::string_view name, double absent);
  bool Bool(std::string_view name, bool absent);
  std::string String(std::string_view name, std::string absent);
  Json Value(std::string_view name);  // null if absent
  void Fail(std::string_view name, std::string_view wanted);
  // InvalidArgument for the first value of a wrong type, else for a name nobody asked for, with the nearest one.
  Status Done() const;

 private:
  const Json* Look(std::string_view name);
  const Json& json_;
  std::vector<std::string> known_;
  std::string wrong_;
};

}  // namespace fed_learn

#include "components/registry_impl.h"
