#include "base/simulated_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace fed_learn {
namespace {

using Bytes = std::vector<std::byte>;

// A change of a file's contents: a write, or (with `resize`) a new size.
struct Change {
  std::uint64_t offset = 0;
  Bytes bytes;
  std::optional<std::uint64_t> resize = std::nullopt;

  void ApplyTo(Bytes& contents) const {
    if (resize.has_value()) {
      contents.resize(*resize);
      return;
    }
    if (bytes.empty()) return;
    if (contents.size() < offset + bytes.size()) contents.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), contents.begin() + static_cast<std::ptrdiff_t>(offset));
  }
};

struct Contents {
  Bytes now;
  Bytes synced;
  std::vector<Change> unsynced;  // since `synced`; lost ones of a failed sync are not among them

  void Apply(Change change) {
    change.ApplyTo(now);
    unsynced.push_back(std::move(change));
  }

  void Sync() {
    for (const Change& change : unsynced) change.ApplyTo(synced);
    unsynced.clear();
  }

  void Crash(Random& random) {
    for (Change& change : unsynced) {
      enum Fate { kKept, kTorn, kLost };
      const auto fate = static_cast<Fate>(random.Below(3));
      if (fate == kLost) continue;
      if (fate == kTorn) change.bytes.resize(random.Below(change.bytes.size() + 1));
      change.ApplyTo(synced);
    }
    unsynced.clear();
    now = synced;
  }
};

using Names = std::map<std::string, std::shared_ptr<Contents>, std::less<>>;

// A change of names: `to` becomes `contents` (none: it is removed), and `from`, if not empty, goes.
struct NameChange {
  std::string from;
  std::string to;
  std::shared_ptr<Contents> contents;

  void ApplyTo(Names& names) const {
    if (!from.empty()) names.erase(from);
    if (contents == nullptr) {
      names.erase(to);
    } else {
      names[to] = contents;
    }
  }
};

std::string FolderOf(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? "" : std::string(path.substr(0, slash));
}

// The path from the root without "." and needless slashes; "" is the root.
Result<std::string> Normal(std::string_view path) {
  if (path.empty()) return InvalidArgument("an empty path names no file");
  std::string normal;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") return InvalidArgument("a path with '..' leads out of the simulated disk; write it without");
    if (!normal.empty()) normal += '/';
    normal += part;
  }
  return normal;
}

Error Full(std::string_view path) {
  return Internal(fmt::format("cannot write {}: the disk is full; free some space, then try again", path));
}

}  // namespace

struct SimulatedDisk::State {
  std::mutex mutex;
  Names names;
  Names synced_names;
  std::vector<NameChange> unsynced_names;
  std::set<std::string, std::less<>> folders = {""};
  std::set<std::string, std::less<>> locked;
  std::uint64_t epoch = 0;  // of open files and locks; older ones are stale
  std::optional<std::uint64_t> bytes_left;
  std::optional<std::uint64_t> operations_left;
  bool fail_next_sync = false;

  // For a call that only reads.
  Status Running() const {
    if (operations_left == std::uint64_t{0}) return Unavailable("the simulated machine has no power; call Crash");
    return {};
  }

  // For a call that changes something: one of those that StopAfter counts.
  Status CountOperation() {
    RETURN_IF_ERROR(Running());
    if (operations_left.has_value()) --*operations_left;
    return {};
  }

  Status MaySync(std::string_view path) {
    if (!std::exchange(fail_next_sync, false)) return {};
    return Internal(fmt::format(
        "cannot sync {}: the disk reports an error; look at the kernel's log before trusting it again", path));
  }

  Status RequireParent(std::string_view verb, const std::string& path) const {
    if (folders.contains(FolderOf(path))) return {};
    return NotFound(fmt::format("cannot {} {}: no such file or folder", verb, path));
  }

  Status RequireFile(std::string_view verb, const std::string& path) const {
    if (folders.contains(path)) {
      return InvalidArgument(fmt::format("cannot {} {}: it is a folder, not a file", verb, path));
    }
    if (!names.contains(path)) return NotFound(fmt::format("cannot {} {}: no such file or folder", verb, path));
    return {};
  }

  void Change(NameChange change) {
    change.ApplyTo(names);
    unsynced_names.push_back(std::move(change));
  }

  // Makes safe what was done in `folder`, and what that builds upon: earlier changes of the same names.
  void SyncNames(const std::string& folder) {
    std::set<std::string, std::less<>> touched;
    std::vector<bool> safe(unsynced_names.size());
    for (std::size_t i = unsynced_names.size(); i-- > 0;) {
      const NameChange& change = unsynced_names[i];
      safe[i] = FolderOf(change.to) == folder || touched.contains(change.to) || touched.contains(change.from);
      if (!safe[i]) continue;
      touched.insert(change.to);
      if (!change.from.empty()) touched.insert(change.from);
    }
    std::vector<NameChange> rest;
    for (std::size_t i = 0; i < safe.size(); ++i) {
      if (safe[i]) {
        unsynced_names[i].ApplyTo(synced_names);
      } else {
        rest.push_back(std::move(unsynced_names[i]));
      }
    }
    unsynced_names = std::move(rest);
  }

  void ForgetProcess() {
    ++epoch;
    locked.clear();
  }
};

class SimulatedDisk::OpenFile final : public File {
 public:
  OpenFile(std::shared_ptr<State> state, std::shared_ptr<Contents> contents, std::string path, bool writable)
      : state_(std::move(state)),
        contents_(std::move(contents)),
        path_(std::move(path)),
        epoch_(state_->epoch),
        writable_(writable) {}

  Status ReadAt(std::uint64_t offset, std::span<std::byte> out) override {
    const std::lock_guard lock(state_->mutex);
    RETURN_IF_ERROR(Usable());
    RETURN_IF_ERROR(state_->Running());
    const Bytes& now = contents_->now;
    if (offset > now.size() || now.size() - offset < out.size()) {
      return DataLoss(
          fmt::format("cannot read {}: it ends at byte {}, {} bytes are wanted from byte {}; it was cut short", path_,
                      now.size(), out.size(), offset));
    }
    std::copy_n(now.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }

  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(state_->mutex);
    RETURN_IF_ERROR(MayChange());
    const bool fits = !state_->bytes_left.has_value() || bytes.size() <= *state_->bytes_left;
    const auto written = bytes.first(fits ? bytes.size() : static_cast<std::size_t>(*state_->bytes_left));
    if (state_->bytes_left.has_value()) *state_->bytes_left -= written.size();
    contents_->Apply({.offset = offset, .bytes = Bytes(written.begin(), written.end())});
    if (!fits) return Full(path_);
    return {};
  }

  Result<std::uint64_t> Size() override {
    const std::lock_guard lock(state_->mutex);
    RETURN_IF_ERROR(Usable());
    RETURN_IF_ERROR(state_->Running());
    return contents_->now.size();
  }

  Status Truncate(std::uint64_t size) override {
    const std::lock_guard lock(state_->mutex);
    RETURN_IF_ERROR(MayChange());
    contents_->Apply({.offset = 0, .bytes = {}, .resize = size});
    return {};
  }

  Status Sync() override {
    const std::lock_guard lock(state_->mutex);
    RETURN_IF_ERROR(Usable());
    RETURN_IF_ERROR(state_->CountOperation());
    if (Status allowed = state_->MaySync(path_); !allowed.has_value()) {
      contents_->unsynced.clear();
      return allowed;
    }
    contents_->Sync();
    return {};
  }

 private:
  Status Usable() const {
    if (epoch_ == state_->epoch) return {};
    return FailedPrecondition(fmt::format("{} was opened before the crash; open it again", path_));
  }

  Status MayChange() {
    RETURN_IF_ERROR(Usable());
    if (!writable_) return InvalidArgument(fmt::format("cannot write {}: it was opened for reading", path_));
    return state_->CountOperation();
  }

  const std::shared_ptr<State> state_;
  const std::shared_ptr<Contents> contents_;
  const std::string path_;
  const std::uint64_t epoch_;
  const bool writable_;
};

class SimulatedDisk::HeldLock {
 public:
  HeldLock(std::shared_ptr<State> state, std::string folder)
      : state_(std::move(state)), folder_(std::move(folder)), epoch_(state_->epoch) {}
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() {
    const std::lock_guard lock(state_->mutex);
    if (epoch_ == state_->epoch) state_->locked.erase(folder_);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string folder_;
  const std::uint64_t epoch_;
};

SimulatedDisk::SimulatedDisk() : state_(std::make_shared<State>()) {}
SimulatedDisk::~SimulatedDisk() = default;

Result<std::unique_ptr<File>> SimulatedDisk::Open(std::string_view path, OpenOptions options) {
  ASSIGN_OR_RETURN(std::string file, Normal(path));
  const std::lock_guard lock(state_->mutex);
  RETURN_IF_ERROR(state_->Running());
  const bool creates = options.mode == OpenMode::kCreate || options.mode == OpenMode::kCreateExclusive;
  if (options.mode == OpenMode::kCreateExclusive && (state_->names.contains(file) || state_->folders.contains(file))) {
    return AlreadyExists(fmt::format("cannot create {}: it is there already", file));
  }
  if (creates && !state_->names.contains(file) && !state_->folders.contains(file)) {
    RETURN_IF_ERROR(state_->RequireParent("create", file));
    RETURN_IF_ERROR(state_->CountOperation());
    state_->Change({.from = "", .to = file, .contents = std::make_shared<Contents>()});
  }
  RETURN_IF_ERROR(state_->RequireFile("open", file));
  std::shared_ptr<Contents> contents = state_->names.find(file)->second;
  return std::make_unique<OpenFile>(state_, std::move(contents), std::move(file), options.mode != OpenMode::kRead);
}

Result<bool> SimulatedDisk::Exists(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string normal, Normal(path));
  const std::lock_guard lock(state_->mutex);
  RETURN_IF_ERROR(state_->Running());
  return state_->names.contains(normal) || state_->folders.contains(normal);
}

Status SimulatedDisk::Rename(std::string_view from, std::string_view to) {
  ASSIGN_OR_RETURN(std::string old_name, Normal(from));
  ASSIGN_OR_RETURN(std::string new_name, Normal(to));
  const std::lock_guard lock(state_->mutex);
  RETURN_IF_ERROR(state_->RequireFile("rename", old_name));
  RETURN_IF_ERROR(state_->RequireParent("rename to", new_name));
  if (state_->folders.contains(new_name)) {
    return InvalidArgument(fmt::format("cannot rename {} to {}: it is a folder, not a file", old_name, new_name));
  }
  RETURN_IF_ERROR(state_->CountOperation());
  if (old_name == new_name) return {};
  std::shared_ptr<Contents> contents = state_->names.find(old_name)->second;
  state_->Change({.from = std::move(old_name), .to = std::move(new_name), .contents = std::move(contents)});
  return {};
}

Status SimulatedDisk::Remove(std::string_view path) {
  ASSIGN_OR_RETURN(std::string file, Normal(path));
  const std::lock_guard lock(state_->mutex);
  RETURN_IF_ERROR(state_->RequireFile("remove", file));
  RETURN_IF_ERROR(state_->CountOperation());
  state_->Change({.from = "", .to = std::move(file), .contents = nullptr});
  return {};
}

Status SimulatedDisk::MakeFolders(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string folder, Normal(path));
  const std::lock_guard lock(state_->mutex);
  RETURN_IF_ERROR(state_->CountOperation());
  if (folder.empty()) return {};
  for (std::size_t end = folder.find('/');; end = folder.find('/', end + 1)) {
    std::string part = folder.substr(0, end);
    if (state_->names.contains(part)) {
      return InvalidArgument(fmt::format("cannot make the folder {}: a file of that name is in the way", part));
    }
    state_->folders.insert(std::move(part));
    if (end == std::string::npos) return {};
  }
}

Result<std::vector<std::string>> SimulatedDisk::List(std::string_view folder) {
  ASSIGN_OR_RETURN(const std::string normal, Normal(folder));
  const std::lock_guard lock(state_->mutex);
  RETURN_IF_ERROR(state_->Running());
  if (!state_->folders.contains(normal)) {
    return NotFound(fmt::format("cannot list the folder {}: no such file or folder", normal));
  }
  const std::string prefix = normal.empty() ? "" : normal + "/";
  std::vector<std::string> entries;
  const auto add = [&](std::string_view path) {
    if (path.empty() || FolderOf(path) != normal) return;
    entries.emplace_back(path.substr(prefix.size()));
  };
  for (auto name = state_->names.lower_bound(prefix); name != state_->names.end(); ++name) {
    if (!name->first.starts_with(prefix)) break;
    add(name->first);
  }
  for (auto name = state_->folders.lower_bound(prefix); name != state_->folders.end(); ++name) {
    if (!name->starts_with(prefix)) break;
    add(*name);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

Status SimulatedDisk::SyncFolder(std::string_view folder) {
  ASSIGN_OR_RETURN(const std::string normal, Normal(folder));
  const std::lock_guard lock(state_->mutex);
  if (!state_->folders.contains(normal)) {
    return NotFound(fmt::format("cannot sync the folder {}: no such file or folder", normal));
  }
  RETURN_IF_ERROR(state_->CountOperation());
  RETURN_IF_ERROR(state_->MaySync(normal));
  state_->SyncNames(normal);
  return {};
}

Result<std::shared_ptr<void>> SimulatedDisk::Lock(std::string_view folder) {
  ASSIGN_OR_RETURN(std::string normal, Normal(folder));
  const std::lock_guard lock(state_->mutex);
  RETURN_IF_ERROR(state_->Running());
  if (!state_->folders.contains(normal)) {
    return NotFound(fmt::format("cannot lock the folder {}: no such file or folder", normal));
  }
  if (!state_->locked.insert(normal).second) {
    return AlreadyExists(
        fmt::format("the folder {} is in use by another process; stop that first, or choose another folder", normal));
  }
  return std::shared_ptr<void>(std::make_shared<HeldLock>(state_, std::move(normal)));
}

void SimulatedDisk::Crash(Random& random) {
  const std::lock_guard lock(state_->mutex);
  state_->ForgetProcess();
  const std::uint64_t kept = random.Below(state_->unsynced_names.size() + 1);
  for (std::uint64_t i = 0; i < kept; ++i) state_->unsynced_names[i].ApplyTo(state_->synced_names);
  state_->unsynced_names.clear();
  state_->names = state_->synced_names;
  for (const auto& [name, contents] : state_->names) contents->Crash(random);
  state_->bytes_left.reset();
  state_->operations_left.reset();
  state_->fail_next_sync = false;
}

void SimulatedDisk::KillProcess() {
  const std::lock_guard lock(state_->mutex);
  state_->ForgetProcess();
}

void SimulatedDisk::FailAfterBytes(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->bytes_left = bytes;
}

void SimulatedDisk::FailNextSync() {
  const std::lock_guard lock(state_->mutex);
  state_->fail_next_sync = true;
}

void SimulatedDisk::StopAfter(std::uint64_t operations) {
  const std::lock_guard lock(state_->mutex);
  state_->operations_left = operations;
}

}  // namespace fed_learn
