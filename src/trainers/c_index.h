// Harrell's index of concordance for right-censored survival times.
#pragma once

#include <optional>
#include <span>

namespace fed_learn {

// Of the pairs of which it is known who had the event first, the share in which that one has the higher risk; equal
// risks count half. Known are pairs whose earlier time is an event, and pairs at one time of which just one is an event
// (the censored one outlived it). This is lifelines.utils.concordance_index(times, -risks, events).
// Nothing if no pair is known. Takes n log n steps.
// REQUIRES: equally many times, events (0: censored, anything else: event) and risks, none of them NaN.
std::optional<double> ConcordanceIndex(std::span<const double> times, std::span<const double> events,
                                       std::span<const double> risks);

}  // namespace fed_learn
