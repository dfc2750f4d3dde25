#include "trainers/tabular_model.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "base/text.h"

namespace fed_learn {
namespace {

using ConstMatrixMap = Eigen::Map<const Matrix>;
using MatrixMap = Eigen::Map<Matrix>;

std::string LayerName(std::size_t index) { return "layers." + std::to_string(index); }

Result<const Tensor*> FindLayerTensor(const ModelData& model, const std::string& name, std::size_t dimensions) {
  const NamedTensor* found = model.Find(name);
  if (found == nullptr) {
    return InvalidArgument("the model has no tensor '" + name +
                           "'; a tabular model is made of layers.N.weight and layers.N.bias, N counted from 0");
  }
  const Tensor& tensor = found->tensor;
  if (tensor.dtype() != DType::kF32 || tensor.shape().size() != dimensions || tensor.elements() == 0) {
    return InvalidArgument("tensor '" + name + "' is " + std::string(ToString(tensor.dtype())) + " " +
                           ToString(tensor.shape()) + "; a tabular model needs f32 and " +
                           (dimensions == 2 ? "[outputs, inputs]" : "[outputs]") + " here");
  }
  const auto values = tensor.values<float>();
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) {
    return InvalidArgument("tensor '" + name + "' holds a value that is not finite");
  }
  return &tensor;
}

}  // namespace

Result<Activation> ActivationFromString(std::string_view name) {
  if (name == "relu") return Activation::kRelu;
  if (name == "tanh") return Activation::kTanh;
  return InvalidArgument("no activation is called '" + Escaped(name) + "'" + DidYouMean(name, {"relu", "tanh"}));
}

Result<TabularModel> TabularModel::From(const ModelData& model, Activation activation) {
  TabularModel result;
  result.activation_ = activation;
  do {
    RETURN_IF_ERROR(result.AddLayer(model, result.layers_.size()));
  } while (result.layers_.size() * 2 < model.size());
  return result;
}

Status TabularModel::AddLayer(const ModelData& model, std::size_t index) {
  const std::string weight_name = LayerName(index) + ".weight";
  const std::string bias_name = LayerName(index) + ".bias";
  ASSIGN_OR_RETURN(const Tensor* weight, FindLayerTensor(model, weight_name, 2));
  ASSIGN_OR_RETURN(const Tensor* bias, FindLayerTensor(model, bias_name, 1));
  Layer layer{.inputs = static_cast<std::size_t>(weight->shape()[1]),
              .outputs = static_cast<std::size_t>(weight->shape()[0]),
              .offset = static_cast<std::size_t>(parameters_.size())};
  if (bias->shape()[0] != weight->shape()[0]) {
    return InvalidArgument("tensor '" + bias_name + "' is " + ToString(bias->shape()) + ", but '" + weight_name +
                           "' is " + ToString(weight->shape()));
  }
  if (index > 0 && layer.inputs != layers_.back().outputs) {
    return InvalidArgument("tensor '" + weight_name + "' is " + ToString(weight->shape()) +
                           ", but the layer before it has " + std::to_string(layers_.back().outputs) + " outputs");
  }
  parameters_.conservativeResize(static_cast<Eigen::Index>(layer.end()));
  const auto weights = weight->values<float>();
  const auto biases = bias->values<float>();
  std::copy(weights.begin(), weights.end(), parameters_.data() + layer.offset);
  std::copy(biases.begin(), biases.end(), parameters_.data() + layer.bias_offset());
  layers_.push_back(layer);
  return {};
}

Matrix TabularModel::Apply(const Layer& layer, const Matrix& entering) const {
  const auto outputs = static_cast<Eigen::Index>(layer.outputs);
  const ConstMatrixMap weight(parameters_.data() + layer.offset, outputs, static_cast<Eigen::Index>(layer.inputs));
  const Eigen::Map<const Eigen::RowVectorXd> bias(parameters_.data() + layer.bias_offset(), outputs);
  Matrix leaving = entering.lazyProduct(weight.transpose());
  leaving.rowwise() += bias;
  return leaving;
}

TabularModel::Trace TabularModel::ForwardTraced(const Matrix& inputs) const {
  Trace trace{.entering = {inputs}, .outputs = {}};
  for (std::size_t i = 0; i + 1 < layers_.size(); ++i) {
    Matrix leaving = Apply(layers_[i], trace.entering.back());
    if (activation_ == Activation::kRelu) {
      leaving = leaving.cwiseMax(0.0);
    } else {
      leaving = leaving.unaryExpr([](double x) { return std::tanh(x); });
    }
    trace.entering.push_back(std::move(leaving));
  }
  trace.outputs = Apply(layers_.back(), trace.entering.back());
  return trace;
}

Matrix TabularModel::Forward(const Matrix& inputs) const { return ForwardTraced(inputs).outputs; }

Vector TabularModel::Backward(const Trace& trace, const Matrix& output_gradient) const {
  Vector gradient(parameters_.size());
  Matrix leaving = output_gradient;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    const Matrix& entering = trace.entering[i];
    const auto rows = static_cast<Eigen::Index>(layer.outputs);
    const auto columns = static_cast<Eigen::Index>(layer.inputs);
    MatrixMap(gradient.data() + layer.offset, rows, columns) = leaving.transpose().lazyProduct(entering);
    Eigen::Map<Eigen::RowVectorXd>(gradient.data() + layer.bias_offset(), rows) = leaving.colwise().sum();
    if (i == 0) break;
    Matrix before = leaving.lazyProduct(ConstMatrixMap(parameters_.data() + layer.offset, rows, columns));
    if (activation_ == Activation::kRelu) {
      leaving = (entering.array() > 0).select(before, 0.0);
    } else {
      leaving = before.array() * (1 - entering.array().square());
    }
  }
  return gradient;
}

ModelData TabularModel::ToModelData() const { return AsTensors(parameters_); }

ModelData TabularModel::DifferenceFrom(const TabularModel& start) const {
  return AsTensors(parameters_ - start.parameters_);
}

ModelData TabularModel::AsTensors(const Vector& values) const {
  ModelData model;
  const auto add = [&](const std::string& name, Shape shape, std::size_t offset) {
    Tensor tensor = Tensor::Allocate(DType::kF32, std::move(shape));
    const std::span<float> out = tensor.mutable_values<float>();
    std::transform(values.data() + offset, values.data() + offset + out.size(), out.begin(),
                   [](double value) { return static_cast<float>(value); });
    // Cannot fail: From has seen the same names in a model.
    static_cast<void>(model.Add(name, std::move(tensor), Role::kParameter));
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto outputs = static_cast<std::int64_t>(layers_[i].outputs);
    const auto inputs = static_cast<std::int64_t>(layers_[i].inputs);
    add(LayerName(i) + ".weight", {outputs, inputs}, layers_[i].offset);
    add(LayerName(i) + ".bias", {outputs}, layers_[i].bias_offset());
  }
  return model;
}

}  // namespace fed_learn
