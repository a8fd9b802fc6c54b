"""The rule for the axes of each of torch's ATen operations.

Modules, functions and methods have no rules of their own: they call these operations.
"""

from spanmatch.networks.axes import features, shapes
from spanmatch.networks.axes.call import Rule

_OPERATIONS: dict[Rule, str] = {
    shapes.elementwise: """
        dropout native_dropout clone contiguous detach alias _to_copy to copy lift_fresh masked_fill where
        lerp addcmul addcdiv nan_to_num rsub hardswish prelu _prelu_kernel log_sigmoid log_sigmoid_forward
        fill zero floor_divide complex real polar special_erf
    """,
    shapes.same: """
        _softmax _log_softmax softmax log_softmax _safe_softmax cumsum cumprod cummax cummin logcumsumexp
        tril triu renorm _fft_c2c
        index_put _index_put_impl index_add index_copy index_fill scatter scatter_add scatter_reduce
        masked_scatter fake_quantize_per_tensor_affine bernoulli rrelu_with_noise
    """,
    shapes.resized: """
        constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d
        replication_pad2d replication_pad3d pad upsample_nearest1d upsample_nearest2d upsample_nearest3d
        _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d
        upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa
        _upsample_bicubic2d_aa glu _fft_r2c _fft_c2r
    """,
    shapes.reordered: "gather index_select topk sort argsort kthvalue mode flip roll",
    shapes.viewed: "view _unsafe_view reshape _reshape_alias view_as flatten unflatten",
    shapes.strided: "as_strided",
    shapes.permuted: "permute",
    shapes.transposed: "t transpose numpy_T mT adjoint",
    shapes.squeezed: "squeeze",
    shapes.unsqueezed: "unsqueeze",
    shapes.without: "select unbind",
    shapes.sliced: "slice narrow",
    shapes.split: "split split_with_sizes chunk unsafe_split unsafe_split_with_sizes unsafe_chunk",
    shapes.concatenated: "cat concat concatenate",
    shapes.stacked: "stack",
    shapes.expanded: "expand expand_as",
    shapes.repeated: "repeat",
    shapes.reduced: """
        mean sum nansum nanmean prod amax amin max min var std var_mean std_mean median nanmedian norm
        linalg_vector_norm logsumexp argmax argmin any all count_nonzero aminmax
    """,
    shapes.indexed: "index _unsafe_index",
    features.embedded: "embedding",
    features.convolved: """
        convolution _convolution convolution_overrideable cudnn_convolution mkldnn_convolution conv1d
        conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d slow_conv_dilated2d
        _conv_depthwise2d conv_depthwise3d miopen_convolution
    """,
    features.pooled: """
        max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices
        max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d _adaptive_avg_pool2d
        adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool3d adaptive_max_pool1d
        adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d max_unpool2d
        max_unpool3d
    """,
    features.shuffled: "pixel_shuffle pixel_unshuffle",
    features.normalised: """
        native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
        _batch_norm_no_update _batch_norm_with_update batch_norm cudnn_batch_norm miopen_batch_norm
        native_group_norm group_norm instance_norm channel_shuffle native_channel_shuffle
    """,
    features.normalised_last: "native_layer_norm layer_norm _fused_rms_norm rms_norm",
    features.multiplied: "mm bmm addmm addmv baddbmm addbmm mv _addmm_activation",
    features.distances: "_cdist_forward cdist _euclidean_dist",
    features.attended: """
        _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        _scaled_dot_product_attention_math _scaled_dot_product_attention_math_for_mps
        _scaled_dot_product_fused_attention_overrideable scaled_dot_product_attention
    """,
    features.recurrent: "mkldnn_rnn_layer _cudnn_rnn _thnn_fused_lstm_cell _thnn_fused_gru_cell",
    shapes.unfolded: "unfold",
    features.patches: "im2col col2im",
    features.sampled: "grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback cudnn_grid_sampler",
}

RULES: dict[str, Rule] = {name: rule for rule, names in _OPERATIONS.items() for name in names.split()}
"""By the name of the operation, without the underscore of those that work in place."""
