#include "transport/local/child_program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Becomes readable when the process has ended.
FileDescriptor Watch(pid_t process) { return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, process, 0))); }

void WaitUntilGone(const FileDescriptor& process) {
  ASSERT_TRUE(process.is_open());
  pollfd gone{process.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&gone, 1, 60000), 1) << "the process still runs";
}

bool IsGone(const FileDescriptor& process) {
  pollfd gone{process.get(), POLLIN, 0};
  return ::poll(&gone, 1, 0) == 1;
}

class ChildProgramTest : public ::testing::Test {
 protected:
  ChildProgramTest() {
    std::string name = (std::filesystem::temp_directory_path() / "child_program_test_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~ChildProgramTest() override { std::filesystem::remove_all(folder_); }

  ProgramOptions Shell(const std::string& script) const {
    return {.command = {"sh", "-c", script},
            .working_directory = folder_,
            .environment = {"PATH=/usr/bin:/bin"},
            .title = "program 'sh'"};
  }

  // Runs a script to its end, or until it makes itself heard on the channel.
  ProgramEvent Run(const std::string& script) {
    program_ = *ChildProgram::Create(Shell(script));
    EXPECT_TRUE(program_->Start().has_value());
    return program_->Wait([] { return false; });
  }

  std::string EndOf(const std::string& script) {
    const ProgramEvent event = Run(script);
    const auto* ended = std::get_if<ProgramEnded>(&event);
    return ended == nullptr ? "did not end" : ended->how;
  }

  std::string Read(const std::string& file) const {
    std::ifstream in(folder_ + "/" + file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string folder_;
  std::unique_ptr<ChildProgram> program_;
};

TEST_F(ChildProgramTest, ExitCodeAndLastLinesAreReported) {
  EXPECT_EQ(EndOf("echo to output; echo to error >&2; exit 3"),
            "exited with code 3; its last lines: to output | to error");
}

TEST_F(ChildProgramTest, SilentEndIsReported) { EXPECT_EQ(EndOf("exit 0"), "exited with code 0; it printed nothing"); }

TEST_F(ChildProgramTest, SignalIsNamed) {
  EXPECT_EQ(EndOf("printf unfinished; kill -KILL $$"), "died with signal 9 (SIGKILL); its last lines: unfinished");
}

TEST_F(ChildProgramTest, UnknownProgramIsNamed) {
  ProgramOptions options = Shell("");
  options.command = {"no-such-trainer"};
  const auto program = ChildProgram::Create(options);
  ASSERT_FALSE(program.has_value());
  EXPECT_EQ(program.error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(program.error().message(),
            "program 'sh': there is no program 'no-such-trainer' in the PATH /usr/bin:/bin; install it or give its "
            "full path");
}

TEST_F(ChildProgramTest, ProgramThatMayNotBeExecutedIsNamed) {
  std::ofstream(folder_ + "/train.py") << "print()";
  ProgramOptions options = Shell("");
  options.command = {"./train.py"};
  const auto program = ChildProgram::Create(options);
  ASSERT_FALSE(program.has_value());
  EXPECT_EQ(program.error().kind(), ErrorKind::kPermissionDenied);
  EXPECT_THAT(program.error().message(), HasSubstr("./train.py' is not executable"));
}

TEST_F(ChildProgramTest, FileThatTheSystemCannotExecuteIsAnErrorOfStart) {
  std::ofstream(folder_ + "/train.py") << "print()";
  std::filesystem::permissions(folder_ + "/train.py", std::filesystem::perms::owner_all);
  ProgramOptions options = Shell("");
  options.command = {"./train.py"};
  program_ = *ChildProgram::Create(options);
  const Status started = program_->Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_THAT(started.error().message(), HasSubstr("could not be executed"));
  EXPECT_FALSE(program_->running());
}

TEST_F(ChildProgramTest, MissingFolderIsNamed) {
  ProgramOptions options = Shell("");
  options.working_directory = "/no/such/folder";
  const auto program = ChildProgram::Create(options);
  ASSERT_FALSE(program.has_value());
  EXPECT_THAT(program.error().message(), HasSubstr("no folder '/no/such/folder'"));
}

TEST_F(ChildProgramTest, StartsInItsFolderWithItsVariablesOnly) {
  ASSERT_EQ(::setenv("FED_LEARN_TEST_SECRET", "key", 1), 0);
  EndOf("pwd > folder; /usr/bin/env > variables");
  ::unsetenv("FED_LEARN_TEST_SECRET");
  EXPECT_EQ(std::filesystem::canonical(Read("folder").substr(0, Read("folder").find('\n'))),
            std::filesystem::canonical(folder_));
  EXPECT_THAT(Read("variables"), HasSubstr("FED_LEARN_CHANNEL_FD=3\n"));
  EXPECT_THAT(Read("variables"), ::testing::Not(HasSubstr("SECRET")));
}

TEST_F(ChildProgramTest, GetsNoDescriptorOfOurs) {
  const FileDescriptor ours(::open("/proc/self/status", O_RDONLY));  // not closed at exec
  // 'ls' itself has one more open: the folder that it lists.
  EndOf("exec ls /proc/self/fd > descriptors");
  EXPECT_EQ(Read("descriptors"), "0\n1\n2\n3\n4\n");
}

TEST_F(ChildProgramTest, GetsItsSignalsBack) {
  // A shell cannot reset what it began with ignored, so the trap works only if nothing was.
  EXPECT_EQ(EndOf("trap 'exit 7' INT; kill -INT $$; exit 1"), "exited with code 7; it printed nothing");
}

TEST_F(ChildProgramTest, GarbageOnTheChannelIsReported) {
  const ProgramEvent event = Run("printf 'hello there' >&3; exec sleep 1000");
  ASSERT_TRUE(std::holds_alternative<ProgramBroken>(event));
  EXPECT_THAT(std::get<ProgramBroken>(event).why.message(),
              StartsWith("program 'sh' sent what is not a frame: it begins with 'hello there'"));
  program_->Kill();
  EXPECT_FALSE(program_->running());
}

TEST_F(ChildProgramTest, MessageComesBeforeTheEnd) {
  const ProgramEvent event = Run("printf 'FLC1\\002\\000\\000\\000\\000\\000\\000\\000{}' >&3; exit 4");
  EXPECT_TRUE(std::holds_alternative<LocalMessage>(event));
  const ProgramEvent end = program_->Wait([] { return false; });
  ASSERT_TRUE(std::holds_alternative<ProgramEnded>(end));
  EXPECT_THAT(std::get<ProgramEnded>(end).how, StartsWith("exited with code 4"));
}

TEST_F(ChildProgramTest, ProgramThatDoesNothingStalls) {
  ProgramOptions options = Shell("echo loading; exec sleep 1000");
  options.stall_timeout = std::chrono::seconds(1);
  program_ = *ChildProgram::Create(options);
  ASSERT_TRUE(program_->Start().has_value());
  const ProgramEvent event = program_->Wait([] { return false; });
  ASSERT_TRUE(std::holds_alternative<ProgramStalled>(event));
  EXPECT_THAT(std::get<ProgramStalled>(event).how, StartsWith("has made no progress for 1 s"));
  EXPECT_THAT(std::get<ProgramStalled>(event).how, HasSubstr("its last lines: loading"));
}

TEST_F(ChildProgramTest, ProgramAtWorkDoesNotStall) {
  ProgramOptions options = Shell("exec sleep 1000");
  options.stall_timeout = std::chrono::seconds(1);
  // Each look finds some processor time more, whatever the machine is doing.
  int looks = 0;
  options.activity = [&](pid_t) { return ProcessActivity{.cpu_ticks = static_cast<std::uint64_t>(++looks) * 10}; };
  program_ = *ChildProgram::Create(options);
  ASSERT_TRUE(program_->Start().has_value());
  const ProgramEvent event = program_->Wait([&] { return looks >= 20; });
  EXPECT_TRUE(std::holds_alternative<WaitStopped>(event));
}

TEST_F(ChildProgramTest, ReadingAndWritingIsWork) {
  ProgramOptions options = Shell("exec sleep 1000");
  options.stall_timeout = std::chrono::seconds(1);
  int looks = 0;
  options.activity = [&](pid_t) { return ProcessActivity{.io_bytes = static_cast<std::uint64_t>(++looks)}; };
  program_ = *ChildProgram::Create(options);
  ASSERT_TRUE(program_->Start().has_value());
  const ProgramEvent event = program_->Wait([&] { return looks >= 20; });
  EXPECT_TRUE(std::holds_alternative<WaitStopped>(event));
}

TEST_F(ChildProgramTest, ActivityOfWhatTheProgramStartedCounts) {
  ProcessActivity before;
  ProcessActivity after;
  ProgramOptions options = Shell("(while :; do :; done) & wait");
  bool has_worked = false;
  options.stall_timeout = std::chrono::seconds(1);
  options.activity = [&](pid_t ancestor) {
    const ProcessActivity now = ActivityOfDescendants(ancestor);
    has_worked = has_worked || now.cpu_ticks >= 5;
    return now;
  };
  program_ = *ChildProgram::Create(options);
  ASSERT_TRUE(program_->Start().has_value());
  const ProgramEvent event = program_->Wait([&] { return has_worked; });
  EXPECT_TRUE(std::holds_alternative<WaitStopped>(event));
}

TEST_F(ChildProgramTest, CanBeStartedAgain) {
  EXPECT_EQ(EndOf("echo $$; exit 1").substr(0, 18), "exited with code 1");
  ASSERT_TRUE(program_->Start().has_value());
  EXPECT_TRUE(program_->WaitForEnd(std::chrono::seconds(60)));
}

// A program whose own child, and a grandchild in a session of its own, would outlive it. Writes their ids to files,
// then makes itself heard.
constexpr char kFamily[] =
    "sleep 1000 & echo $! > child; "
    "setsid sh -c 'echo $$ > grandchild; printf x >&3; exec sleep 1000' & wait";

TEST_F(ChildProgramTest, KillReachesTheWholeFamily) {
  Run(kFamily);
  const FileDescriptor child = Watch(std::stoi(Read("child")));
  const FileDescriptor grandchild = Watch(std::stoi(Read("grandchild")));
  ASSERT_FALSE(IsGone(grandchild));
  program_->Kill();
  EXPECT_TRUE(IsGone(child));
  EXPECT_TRUE(IsGone(grandchild));
}

TEST_F(ChildProgramTest, LeftOversOfAProgramThatEndsAreKilled) {
  const std::string end = EndOf(
      "sleep 1000 & echo $! > child; setsid sh -c 'echo $$ > grandchild; mv grandchild done; exec sleep 1000' & "
      "while [ ! -e done ]; do :; done; exit 0");
  EXPECT_THAT(end, StartsWith("exited with code 0"));
  EXPECT_EQ(::kill(std::stoi(Read("child")), 0), -1);
  EXPECT_EQ(::kill(std::stoi(Read("done")), 0), -1);
}

TEST_F(ChildProgramTest, NothingSurvivesUsWhenWeAreKilled) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t client = ::fork();
  if (client == 0) {
    Run(kFamily);
    static_cast<void>(!::write(ready[1], "x", 1));
    ::pause();
    ::_exit(1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]);
  ::close(ready[1]);
  const FileDescriptor child = Watch(std::stoi(Read("child")));
  const FileDescriptor grandchild = Watch(std::stoi(Read("grandchild")));
  ASSERT_FALSE(IsGone(child));
  ASSERT_EQ(::kill(client, SIGKILL), 0);
  ASSERT_EQ(::waitpid(client, nullptr, 0), client);
  WaitUntilGone(child);
  WaitUntilGone(grandchild);
}

TEST_F(ChildProgramTest, LostSupervisorIsReported) {
  program_ = *ChildProgram::Create(Shell("echo $PPID > supervisor; printf x >&3; exec sleep 1000"));
  ASSERT_TRUE(program_->Start().has_value());
  ASSERT_TRUE(std::holds_alternative<ProgramBroken>(program_->Wait([] { return false; })));
  const FileDescriptor program = Watch(program_->process());
  ASSERT_EQ(::kill(std::stoi(Read("supervisor")), SIGKILL), 0);
  EXPECT_TRUE(program_->WaitForEnd(std::chrono::seconds(60)));
  EXPECT_TRUE(program_->lost());
  WaitUntilGone(program);
}

}  // namespace
}  // namespace fed_learn
