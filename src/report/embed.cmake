# Makes files part of the program: the style and script of reports, and Debian's Chart.js (package libjs-chart.js).
enable_language(ASM)
find_file(HEATPROOF_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js REQUIRED NO_DEFAULT_PATH)

function(heatproof_embed symbol file)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.S)
  file(CONFIGURE OUTPUT ${source} CONTENT
".section .rodata
.global ${symbol}
.global ${symbol}_end
${symbol}:
.incbin \"${file}\"
${symbol}_end:
.section .note.GNU-stack,\"\",%progbits
")
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${file})
  target_sources(heatproof PRIVATE ${source})
endfunction()

heatproof_embed(heatproof_asset_css ${CMAKE_CURRENT_LIST_DIR}/assets/report.css)
heatproof_embed(heatproof_asset_js ${CMAKE_CURRENT_LIST_DIR}/assets/report.js)
heatproof_embed(heatproof_asset_chart_js ${HEATPROOF_CHART_JS})
