// Draws the charts with the page's own colours, plays animations, and sorts tables.
(function () {
  "use strict";
  function style(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
  var palette = ["#1b7f4d", "#b3261e", "#2f6fb2", "#b0820d", "#7a4fb0", "#3c8f92", "#8c5a3c", "#6b7684"];
  var charts = [], byId = {};
  function draw(forPrint) {
    charts.forEach(function (c) { c.destroy(); });
    charts = [];
    byId = {};
    Chart.defaults.color = forPrint ? "#333" : style("--soft");
    Chart.defaults.borderColor = forPrint ? "#ccc" : style("--line");
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.animation = false;
    document.querySelectorAll("canvas[data-chart]").forEach(function (canvas) {
      var config = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
      config.data.datasets.forEach(function (set, i) {
        var colour = palette[(set.colour === undefined ? i : set.colour) % palette.length];
        set.borderColor = colour;
        set.backgroundColor = config.type === "line" ? "transparent" : colour;
        set.pointBackgroundColor = colour;
        set.borderWidth = 2;
        set.pointRadius = 0;
        set.tension = 0;
      });
      config.options = Object.assign({ responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false } }, config.options || {});
      charts.push(byId[canvas.dataset.chart] = new Chart(canvas, config));
    });
  }
  function play(animation) {
    var slider = animation.querySelector("input"), button = animation.querySelector("button"), timer = null;
    function show(frame) {
      slider.value = frame;
      animation.querySelectorAll("figure, .captions").forEach(function (group) {
        group.querySelectorAll("img, p").forEach(function (item, k) { item.hidden = k !== frame; });
      });
      var chart = byId[animation.dataset.marks];
      if (!chart) return;
      chart.data.datasets.forEach(function (set) { set.pointRadius = set.data.map(function (_, k) { return k === frame ? 6 : 0; }); });
      chart.update("none");
    }
    function stop() { clearInterval(timer); timer = null; button.textContent = "Play"; }
    function start() {
      button.textContent = "Pause";
      timer = setInterval(function () { show((+slider.value + 1) % (+slider.max + 1)); }, 350);
    }
    slider.addEventListener("input", function () { stop(); show(+slider.value); });
    button.addEventListener("click", function () { if (timer) stop(); else start(); });
    show(0);
    if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) start();
  }
  if (window.Chart) draw(false);
  document.querySelectorAll(".animation").forEach(play);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () { if (window.Chart) draw(false); });
  window.addEventListener("beforeprint", function () { if (window.Chart) draw(true); });
  window.addEventListener("afterprint", function () { if (window.Chart) draw(false); });
  document.querySelectorAll("table").forEach(function (table) {
    var heads = table.querySelectorAll("th");
    heads.forEach(function (th, column) {
      if (!table.tBodies[0] || table.tBodies[0].rows.length < 3) return;
      th.classList.add("sort");
      th.title = "sort";
      var up = false;
      th.addEventListener("click", function () {
        up = !up;
        var rows = Array.prototype.slice.call(table.tBodies[0].rows);
        function value(row) {
          var cell = row.cells[column], number = parseFloat(cell.textContent.replace("−", "-").replace(/^[^0-9.+-]+/, ""));  // "≥ 8"
          return cell.classList.contains("number") ? (isNaN(number) ? -Infinity : number) : cell.textContent.trim();
        }
        rows.sort(function (a, b) { var x = value(a), y = value(b); return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1); });
        rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
      });
    });
  });
})();
