// What a report shows, as named bytes: how it is kept in results.sqlite.
#pragma once

#include <map>
#include <string>

#include "report/select_report.h"

namespace heatproof::report {

/// Names start with "report".
std::map<std::string, std::string> to_facts(const SelectReport& report);
/// Throws InputError when something is missing or damaged.
SelectReport from_facts(const std::map<std::string, std::string>& facts);

/// On how many images a stored report concluded, where it is of this model and objective; else, and where it
/// is damaged, 0.
std::size_t images_of(const std::string& report, const std::string& model, const std::string& objective);

}  // namespace heatproof::report
