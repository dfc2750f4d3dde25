#include "server/tensorboard_journal.h"

#include <utility>

#include "base/log.h"

namespace fed_learn {

TensorboardJournal::TensorboardJournal(Disk& disk, const Loop& loop, std::string folder)
    : disk_(disk), loop_(loop), folder_(std::move(folder)) {}

void TensorboardJournal::OnRoundRecorded(const RoundRecord& round, const ModelData&) {
  if (round.sites.empty()) return;
  if (auto status = Write(round); !status.has_value()) LogWarning("tensorboard: {}", status.error().message());
}

Status TensorboardJournal::Write(const RoundRecord& round) {
  if (!writer_) {
    ASSIGN_OR_RETURN(writer_, EventWriter::Open(disk_, folder_, loop_.Wall(), "server"));
  }
  for (const auto& [name, value] : round.metrics["mean"].items()) {
    RETURN_IF_ERROR(writer_->AddScalar(name, round.round, loop_.Wall(), value.get<double>()));
  }
  for (const auto& [name, value] : round.metrics["sites"].items()) {
    RETURN_IF_ERROR(writer_->AddScalar("sites/" + name, round.round, loop_.Wall(), value.get<double>()));
  }
  return writer_->AddScalar("round/seconds", round.round, loop_.Wall(), round.seconds);
}

}  // namespace fed_learn
