// TabularModel: a linear model or a multilayer perceptron, from the tensors that describe it:
//   layers.0.weight [hidden, inputs] f32, layers.0.bias [hidden] f32, layers.1.weight …
// The last layer is linear, an activation follows each of the others. One layer is a linear model.
//
// Computes in double, on the calling thread. Not thread-safe while parameters() is being changed.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model_data.h"
#include "trainers/matrix.h"

namespace fed_learn {

enum class Activation { kRelu, kTanh };

// "relu", "tanh". InvalidArgument otherwise.
Result<Activation> ActivationFromString(std::string_view name);

class TabularModel {
 public:
  // InvalidArgument, naming the tensor, if a layer is missing, is not f32, has another shape than [out, in] and [out],
  // does not fit the layer before it, holds a value that is not finite, or if there is any other tensor.
  static Result<TabularModel> From(const ModelData& model, Activation activation);

  std::size_t inputs() const { return layers_.front().inputs; }
  std::size_t outputs() const { return layers_.back().outputs; }

  // All weights and biases, layer by layer.
  const Vector& parameters() const { return parameters_; }
  Vector& parameters() { return parameters_; }

  // One row of outputs for each row of inputs. REQUIRES: inputs.cols() is inputs().
  Matrix Forward(const Matrix& inputs) const;

  // What Backward needs of a forward pass: the values that enter each layer, and what leaves the last.
  struct Trace {
    std::vector<Matrix> entering;
    Matrix outputs;
  };
  Trace ForwardTraced(const Matrix& inputs) const;

  // The gradient with regard to parameters(), in their order, from the gradient with regard to the outputs.
  Vector Backward(const Trace& trace, const Matrix& output_gradient) const;

  // The parameters as tensors, each value rounded to f32 once.
  ModelData ToModelData() const;

  // parameters() − start.parameters(), rounded to f32 once. REQUIRES: the same layers.
  ModelData DifferenceFrom(const TabularModel& start) const;

 private:
  struct Layer {
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    std::size_t offset = 0;  // of the weight in parameters_; the bias follows it

    std::size_t bias_offset() const { return offset + inputs * outputs; }
    std::size_t end() const { return bias_offset() + outputs; }
  };

  Status AddLayer(const ModelData& model, std::size_t index);
  Matrix Apply(const Layer& layer, const Matrix& entering) const;
  ModelData AsTensors(const Vector& values) const;

  Activation activation_ = Activation::kRelu;
  std::vector<Layer> layers_;
  Vector parameters_;
};

}  // namespace fed_learn
