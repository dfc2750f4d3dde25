#include "trainers/optimizer.h"

#include <cmath>
#include <string>

#include "base/text.h"
#include "components/registry.h"

namespace fed_learn {
namespace {

class Sgd : public Optimizer {
 public:
  explicit Sgd(const OptimizerOptions& options) : options_(options) {}

  void Step(Vector& parameters, const Vector& gradient) override {
    if (velocity_.size() == 0) velocity_ = Vector::Zero(parameters.size());
    velocity_ = options_.momentum * velocity_ + gradient + options_.weight_decay * parameters;
    parameters -= options_.learning_rate * velocity_;
  }

 private:
  OptimizerOptions options_;
  Vector velocity_;
};

class Adam : public Optimizer {
 public:
  explicit Adam(const OptimizerOptions& options) : options_(options) {}

  void Step(Vector& parameters, const Vector& gradient) override {
    if (first_moment_.size() == 0) {
      first_moment_ = Vector::Zero(parameters.size());
      second_moment_ = Vector::Zero(parameters.size());
    }
    const Vector decayed = gradient + options_.weight_decay * parameters;
    first_moment_ = options_.beta1 * first_moment_ + (1 - options_.beta1) * decayed;
    second_moment_ = options_.beta2 * second_moment_ + (1 - options_.beta2) * decayed.cwiseAbs2();
    first_left_ *= options_.beta1;
    second_left_ *= options_.beta2;
    const double rate = options_.learning_rate / (1 - first_left_);
    const double correction = std::sqrt(1 - second_left_);
    parameters.array() -=
        rate * first_moment_.array() / (second_moment_.array().sqrt() / correction + options_.epsilon);
  }

 private:
  OptimizerOptions options_;
  Vector first_moment_;
  Vector second_moment_;
  double first_left_ = 1;  // powers of the betas: what is left of the zeros that the moments began with
  double second_left_ = 1;
};

bool InUnitRange(double value) { return value >= 0 && value < 1; }

Status ReadBetas(const Json& betas, OptimizerOptions& options) {
  if (betas.is_null()) return {};
  if (!betas.is_array() || betas.size() != 2 || !betas[0].is_number() || !betas[1].is_number()) {
    return InvalidArgument("optimizer: args.betas must be two numbers, such as [0.9, 0.999]");
  }
  options.beta1 = betas[0].get<double>();
  options.beta2 = betas[1].get<double>();
  return {};
}

Status CheckRanges(const OptimizerOptions& options) {
  if (!(options.learning_rate >= 0)) return InvalidArgument("optimizer: args.lr must be 0 or more");
  if (!(options.weight_decay >= 0)) return InvalidArgument("optimizer: args.weight_decay must be 0 or more");
  if (!(options.epsilon > 0)) return InvalidArgument("optimizer: args.eps must be more than 0");
  if (!InUnitRange(options.momentum))
    return InvalidArgument("optimizer: args.momentum must be 0 or more and less than 1");
  if (!InUnitRange(options.beta1) || !InUnitRange(options.beta2)) {
    return InvalidArgument("optimizer: args.betas must be 0 or more and less than 1");
  }
  return {};
}

}  // namespace

Result<OptimizerOptions> ParseOptimizerOptions(const Json& json) {
  ComponentSpec spec{.name = "SGD"};
  if (!json.is_null()) {
    ASSIGN_OR_RETURN(spec, ParseComponentSpec(json, "optimizer"));
  }
  const std::string& name = spec.name;
  if (name != "SGD" && name != "Adam") {
    return InvalidArgument("no optimizer is called '" + Escaped(name) + "'" + DidYouMean(name, {"SGD", "Adam"}));
  }
  Args args(spec.args);
  OptimizerOptions options;
  options.kind = name == "Adam" ? OptimizerOptions::Kind::kAdam : OptimizerOptions::Kind::kSgd;
  options.learning_rate = args.Number("lr", name == "Adam" ? 0.001 : 0.01);
  options.weight_decay = args.Number("weight_decay", 0);
  Json betas;
  if (options.kind == OptimizerOptions::Kind::kAdam) {
    betas = args.Value("betas");
    options.epsilon = args.Number("eps", 1e-8);
  } else {
    options.momentum = args.Number("momentum", 0);
  }
  if (const Status done = args.Done(); !done.has_value()) return done.error().In("optimizer");
  RETURN_IF_ERROR(ReadBetas(betas, options));
  RETURN_IF_ERROR(CheckRanges(options));
  return options;
}

std::unique_ptr<Optimizer> MakeOptimizer(const OptimizerOptions& options) {
  if (options.kind == OptimizerOptions::Kind::kAdam) return std::make_unique<Adam>(options);
  return std::make_unique<Sgd>(options);
}

}  // namespace fed_learn
