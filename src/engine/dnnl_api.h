// The thin header behind which oneDNN 2.6 (Debian 12) and 3.x differ: operations become primitive descriptors
// here.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace heatproof::onednn {

#if DNNL_VERSION_MAJOR >= 3
#define HEATPROOF_DNNL_3 1
#else
#define HEATPROOF_DNNL_3 0
#endif

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;

/// Geometry of a convolution or pooling; dilations count from 0 (dense), as oneDNN does.
struct Window {
  Dims strides, dilations, pads_begin, pads_end;
};

inline dnnl::convolution_forward::primitive_desc convolution(const dnnl::engine& engine, const Desc& src,
                                                             const Desc& weights, const Desc& bias,
                                                             const Desc& dst, const Window& w,
                                                             const dnnl::primitive_attr& attr) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if HEATPROOF_DNNL_3
  return {engine, kind,      algorithm,   src,          weights,    bias,
          dst,    w.strides, w.dilations, w.pads_begin, w.pads_end, attr};
#else
  return {bias.data.ndims == 0
              ? dnnl::convolution_forward::desc(kind, algorithm, src, weights, dst, w.strides, w.dilations,
                                                w.pads_begin, w.pads_end)
              : dnnl::convolution_forward::desc(kind, algorithm, src, weights, bias, dst, w.strides,
                                                w.dilations, w.pads_begin, w.pads_end),
          attr, engine};
#endif
}

/// The transpose of a convolution in its data: diff_src = Σ weights · diff_dst.
inline dnnl::convolution_backward_data::primitive_desc convolution_transpose(
    const dnnl::engine& engine, const Desc& diff_src, const Desc& weights, const Desc& diff_dst,
    const Window& w, const dnnl::convolution_forward::primitive_desc& hint,
    const dnnl::primitive_attr& attr) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if HEATPROOF_DNNL_3
  return {engine,      algorithm,    diff_src,   weights, diff_dst, w.strides,
          w.dilations, w.pads_begin, w.pads_end, hint,    attr};
#else
  return {dnnl::convolution_backward_data::desc(algorithm, diff_src, weights, diff_dst, w.strides,
                                                w.dilations, w.pads_begin, w.pads_end),
          attr, engine, hint};
#endif
}

inline dnnl::inner_product_forward::primitive_desc inner_product(const dnnl::engine& engine, const Desc& src,
                                                                 const Desc& weights, const Desc& bias,
                                                                 const Desc& dst,
                                                                 const dnnl::primitive_attr& attr) {
  const auto kind = dnnl::prop_kind::forward_inference;
#if HEATPROOF_DNNL_3
  return {engine, kind, src, weights, bias, dst, attr};
#else
  return {bias.data.ndims == 0 ? dnnl::inner_product_forward::desc(kind, src, weights, dst)
                               : dnnl::inner_product_forward::desc(kind, src, weights, bias, dst),
          attr, engine};
#endif
}

inline dnnl::matmul::primitive_desc matmul(const dnnl::engine& engine, const Desc& a, const Desc& b,
                                           const Desc& c, const dnnl::primitive_attr& attr) {
#if HEATPROOF_DNNL_3
  return {engine, a, b, c, attr};
#else
  return {dnnl::matmul::desc(a, b, c), attr, engine};
#endif
}

/// Strides and padding of a descriptor, which 2.6 keeps in a C struct and 3.x behind getters.
inline Dims padded_dims(const Desc& desc) {
#if HEATPROOF_DNNL_3
  return desc.get_padded_dims();
#else
  return {desc.data.padded_dims, desc.data.padded_dims + desc.data.ndims};
#endif
}

/// Distance of neighbours along each axis, and of the first element from the start of the memory.
inline Dims strides(const Desc& desc) {
#if HEATPROOF_DNNL_3
  return desc.get_strides();
#else
  return {desc.data.format_desc.blocking.strides, desc.data.format_desc.blocking.strides + desc.data.ndims};
#endif
}
inline std::int64_t offset(const Desc& desc) {
#if HEATPROOF_DNNL_3
  return desc.get_submemory_offset();
#else
  return desc.data.offset0;
#endif
}

/// Attributes with working memory that belongs to the caller, so that one primitive may run in several
/// threads.
inline dnnl::primitive_attr caller_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

}  // namespace heatproof::onednn
