#include "report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/assets.h"

namespace heatproof::report {

namespace {

/// Escaped text with `code` between backticks.
std::string with_code(std::string_view text) {
  std::string out;
  bool code = false;
  std::size_t begin = 0;
  for (std::size_t tick = text.find('`'); tick != std::string_view::npos; tick = text.find('`', begin)) {
    out += escape(text.substr(begin, tick - begin));
    out += code ? "</code>" : "<code>";
    code = !code;
    begin = tick + 1;
  }
  out += escape(text.substr(begin));
  return code ? out + "</code>" : out;
}

/// JSON inside of a script element must not end it.
std::string safe_json(const nlohmann::json& json) {
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (std::size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at))
    text.replace(at, 1, "\\u003c");
  return text;
}

}  // namespace

std::string intervals_over(std::size_t images, const std::string& what) {
  return fmt::format("95 % intervals over {} {} (the wider of studentised bootstrap and Student's t{})",
                     images, what,
                     images < kFewImages ? "; rough where scores are skewed, since they are few" : "");
}

std::string escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string number(double value, int digits) {
  if (!std::isfinite(value)) return "n/a";
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (size >= 1e6 || size < 1e-4) return fmt::format("{:.{}e}", value, digits - 1);
  const int decimals = std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(size))));
  return fmt::format("{:.{}f}", value, decimals);
}

Page::Page(std::string title, std::string headline, bool warning)
    : title_(std::move(title)), headline_(std::move(headline)), warning_(warning) {}

Page& Page::headline(std::string text) {
  headline_ = std::move(text);
  return *this;
}

Page& Page::warn(bool warning) {
  warning_ = warning;
  return *this;
}

Page& Page::section(std::string_view heading) {
  if (open_) body_ += "</section>\n";
  open_ = true;
  body_ += fmt::format("<section>\n<h2>{}</h2>\n", escape(heading));
  return *this;
}

Page& Page::text(std::string_view paragraph) {
  body_ += fmt::format("<p>{}</p>\n", with_code(paragraph));
  return *this;
}

Page& Page::html(std::string_view markup) {
  body_ += markup;
  body_ += '\n';
  return *this;
}

Page& Page::table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& numeric) {
  const auto kind = [&](std::size_t i) {
    return i < numeric.size() && numeric[i] ? " class=\"number\"" : "";
  };
  body_ += "<div class=\"scroll\"><table>\n<thead><tr>";
  for (std::size_t i = 0; i < header.size(); ++i)
    body_ += fmt::format("<th scope=\"col\"{}>{}</th>", kind(i), escape(header[i]));
  body_ += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows) {
    // A first cell that starts with \x01 carries the row's class.
    std::size_t first = 0;
    if (!row.empty() && row[0].starts_with('\x01')) {
      body_ += fmt::format("<tr class=\"{}\">", row[0].substr(1));
      first = 1;
    } else {
      body_ += "<tr>";
    }
    for (std::size_t i = first; i < row.size(); ++i) {
      const std::size_t rest =
          i + 1 == row.size() ? header.size() - std::min(header.size() - 1, i - first) : 1;
      body_ += fmt::format("<td{}{}>{}</td>", kind(i - first),
                           rest > 1 ? fmt::format(" colspan=\"{}\"", rest) : "", row[i]);
    }
    body_ += "</tr>\n";
  }
  body_ += "</tbody></table></div>\n";
  return *this;
}

Page& Page::chart(const nlohmann::json& configuration, std::string_view alternative) {
  const std::string id = fmt::format("chart-{}", charts_++);
  body_ += fmt::format(
      "<div class=\"chart\"><canvas data-chart=\"{}\" role=\"img\" "
      "aria-label=\"{}\"></canvas></div>\n<script type=\"application/json\" id=\"{}\">{}</script>\n",
      id, escape(alternative), id, safe_json(configuration));
  return *this;
}

Page& Page::animation(const std::vector<std::string>& columns, const std::vector<Frame>& frames,
                      bool marks_chart) {
  std::string cells;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    cells += fmt::format("<figure><div class=\"column\">{}</div>", escape(columns[c]));
    for (std::size_t k = 0; k < frames.size(); ++k)
      cells += fmt::format("<img src=\"{}\" alt=\"{}, frame {}\"{}>", data_uri(frames[k].pictures[c]),
                           escape(columns[c]), k + 1, k == 0 ? "" : " hidden");
    cells += "</figure>\n";
  }
  std::string captions;
  for (std::size_t k = 0; k < frames.size(); ++k)
    captions +=
        fmt::format("<p class=\"note\"{}>{}</p>\n", k == 0 ? "" : " hidden", escape(frames[k].caption));
  body_ += fmt::format(
      "<div class=\"animation\"{} style=\"--columns:{}\">\n<div class=\"stage\">\n{}</div>\n<div "
      "class=\"captions\">\n{}</div>\n"
      "<div class=\"player\"><button type=\"button\">Play</button><input type=\"range\" min=\"0\" max=\"{}\" "
      "value=\"0\" "
      "aria-label=\"frame\"></div>\n</div>\n",
      marks_chart ? fmt::format(" data-marks=\"chart-{}\"", charts_) : "", columns.size(), cells, captions,
      frames.empty() ? 0 : frames.size() - 1);
  return *this;
}

std::string Page::render() const {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n";
  html += fmt::format("<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n", escape(title_),
                      asset_css());
  html += fmt::format(
      "<header class=\"top\"><p class=\"brand\">heatproof</p><h1>{}</h1>\n<p "
      "class=\"answer{}\">{}</p></header>\n",
      escape(title_), warning_ ? " warning" : "", with_code(headline_));
  html += body_;
  if (open_) html += "</section>\n";
  html += "</main>\n";
  if (charts_ > 0) html += fmt::format("<script>{}</script>\n", asset_chart_js());
  html += fmt::format("<script>\n{}</script>\n</body>\n</html>\n", asset_js());
  return html;
}

}  // namespace heatproof::report
