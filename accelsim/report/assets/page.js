"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const template = () => {
    const style = getComputedStyle(document.body);
    const ink = style.getPropertyValue("--ink").trim();
    const line = style.getPropertyValue("--line").trim();
    const soft = style.getPropertyValue("--soft").trim();
    const raised = style.getPropertyValue("--raised").trim();
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, tickcolor: line, title: { font: { size: 13 }, standoff: 10 } };
    return {
      layout: {
        font: { family: style.fontFamily, size: 13, color: ink },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        xaxis: axis,
        yaxis: axis,
        modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink },
        hoverlabel: { bgcolor: raised, bordercolor: line, font: { color: ink, size: 13 } },
      },
    };
  };

  const options = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { scale: 2 },
  };

  const draw = () => {
    for (const figure of figures) {
      const layout = Object.assign({}, figure.layout, { template: template() });
      Plotly.react(figure.key, figure.data, layout, options);
    }
  };

  draw();
  dark.addEventListener("change", draw);
})();
