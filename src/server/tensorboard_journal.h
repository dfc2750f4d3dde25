// TensorboardJournal: every round's metrics as TensorBoard scalars, round as step. Lives on the server's loop.
#pragma once

#include <optional>
#include <string>

#include "base/disk.h"
#include "base/loop.h"
#include "formats/tensorboard.h"
#include "server/federated_server.h"

namespace fed_learn {

class TensorboardJournal : public ServerObserver {
 public:
  // Writes into `folder`, from the first round on. What is referred to outlives this. Failures are logged; a journal
  // stops no run.
  TensorboardJournal(Disk& disk, const Loop& loop, std::string folder);

  void OnRoundRecorded(const RoundRecord& round, const ModelData& model) override;

 private:
  Status Write(const RoundRecord& round);

  Disk& disk_;
  const Loop& loop_;
  std::string folder_;
  std::optional<EventWriter> writer_;
};

}  // namespace fed_learn
