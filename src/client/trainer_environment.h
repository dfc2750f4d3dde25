// What a user's program gets to see of our environment: what programs need to run, and nothing that could be a secret.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fed_learn {

// True for the variables that are passed on: PATH, HOME, locale and time zone, folders for temporary files, and the
// families of Python, conda, CUDA, OpenMP and the machine-learning frameworks. All others stay with us.
bool IsPassedOn(std::string_view name);

// "NAME=value" of each variable of `ours` that is passed on, then `added`, which wins. PYTHONUNBUFFERED is set unless
// given, so that the last lines of a program that is killed are not lost in its buffers.
std::vector<std::string> TrainerEnvironment(const std::map<std::string, std::string>& ours,
                                            const std::map<std::string, std::string>& added);

// The environment of this process.
std::map<std::string, std::string> OwnEnvironment();

}  // namespace fed_learn
