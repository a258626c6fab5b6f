"""Mistakes that people make when they write learning rules and training loops: what each would look
like here, and who must notice.
"""

from typing import NamedTuple


class Defect(NamedTuple):
    """One planted defect.

    Attributes:
        name: what it is called.
        file: the file, below src/byway.
        old: the text that is replaced, which is in the file exactly once.
        new: what takes its place.
        tests: the tests of which one at least must fail, narrow ones.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _of(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"tests/{file}.py::test_{test}" for test in tests)


RULES = [
    Defect(
        "bp_climbs",
        "rules/backprop/bp.py",
        "chained_deltas(net, free, signal.error(record.output)",
        "chained_deltas(net, free, -signal.error(record.output)",
        _of(
            "rules/test_bp",
            "a_step_along_the_update_climbs_the_loss_at_the_rate_of_its_squared_length",
        ),
    ),
    Defect(
        "chain_forgets_the_slope",
        "network/chain.py",
        "delta[name] = post * phase.slope[name]",
        "delta[name] = post",
        _of("rules/test_bp", "recursion_is_the_gradient_for_every_activation_and_loss"),
    ),
    Defect(
        "chain_ignores_normalisation",
        "network/chain.py",
        "post + population.unsend(phase.post[name], _sum(sent))",
        "post + _sum(sent)",
        _of("rules/test_bp", "recursion_passes_back_through_normalisation"),
    ),
    Defect(
        "fa_draws_feedback_with_the_key_of_the_weights",
        "rules/feedback/_drawn.py",
        "jax.random.fold_in(key, FEEDBACK)",
        "key",
        _of("rules/test_fa", "feedback_drawn_with_the_key_of_the_weights_is_unrelated_to_them"),
    ),
    Defect(
        "fa_takes_the_forward_weights",
        "rules/feedback/fa.py",
        "signal.error(record.output), gamma)",
        "signal.error(record.output), {p.name: p.weight for p in net.projections})",
        _of("audit/test_verdicts", "every_rule_does_what_it_claims[fa-mlp]"),
    ),
    Defect(
        "kolen_pollack_forgets_the_weights_alone",
        "rules/feedback/kolen_pollack.py",
        "{name: left * b for name, b in gamma.items()}",
        "gamma",
        _of("rules/test_kolen_pollack", "two_steps_by_an_independent_program"),
    ),
    Defect(
        "kolen_pollack_feedback_stays",
        "rules/feedback/kolen_pollack.py",
        ', {name: update[name]["weight"] for name in gamma})',
        ")",
        _of(
            "rules/test_kolen_pollack",
            "without_decay_it_is_feedback_alignment_with_the_feedback_it_has",
        ),
    ),
    Defect(
        "dfa_feedback_is_too_weak",
        "rules/feedback/dfa.py",
        "np.sqrt(3 / outputs)",
        "np.sqrt(1 / outputs)",
        _of("rules/test_dfa", "feedback_is_uniform_with_standard_deviation_one_over_root_outputs"),
    ),
    Defect(
        "dfa_gives_every_layer_one_feedback",
        "rules/feedback/dfa.py",
        "for h, k in zip(net.hidden, keys, strict=False)",
        "for h, k in zip(net.hidden, [keys[0]] * len(net.hidden), strict=False)",
        _of("rules/test_dfa", "layers_of_one_size_have_feedback_of_their_own"),
    ),
    Defect(
        "dfa_forgets_the_slope",
        "rules/feedback/dfa.py",
        ".reshape(-1, *h.shape) * free.slope[h.name]",
        ".reshape(-1, *h.shape)",
        _of("rules/test_dfa", "update_of_every_layer_written_out_in_numpy"),
    ),
    Defect(
        "ff_negatives_may_be_right",
        "rules/local/ff.py",
        "jnp.where(signal.target > 0, -jnp.inf, head)",
        "head",
        _of("rules/test_ff", "wrong_labels_follow_the_softmax_of_the_head_without_the_right_one"),
    ),
    Defect(
        "ff_counts_the_goodness_of_the_first_layer",
        "rules/local/ff.py",
        "if h.name not in first] or",
        "] or",
        _of("rules/test_ff", "prediction_is_the_goodness_of_each_label_without_the_first_layer"),
    ),
    Defect(
        "ff_halves_peer_normalisation",
        "rules/local/ff.py",
        "peers = 2 * self.peer * 2 * (1 - self.decay) * unlike",
        "peers = 2 * self.peer * (1 - self.decay) * unlike",
        _of("rules/test_ff", "update_of_each_layer_is_the_gradient_of_its_own_loss"),
    ),
    Defect(
        "pc_settles_without_slopes",
        "rules/energy/_predictive.py",
        "population.unsend(phase.post[name], by_post) * phase.slope[name] - weighted",
        "population.unsend(phase.post[name], by_post) - weighted",
        _of("rules/test_pc", "force_and_update_are_the_slopes_of_the_energy"),
    ),
    Defect(
        "pc_learns_without_the_precision",
        "rules/energy/_predictive.py",
        "eps * (-self.precision if name == net.output else -1.0)",
        "eps * -1.0",
        _of("rules/test_pc", "force_and_update_are_the_slopes_of_the_energy"),
    ),
    Defect(
        "settling_takes_a_step_too_many",
        "network/settle.py",
        "values = jax.lax.fori_loop(1, steps, lambda _, values: descend(values)[0], values)",
        "values = jax.lax.fori_loop(0, steps, lambda _, values: descend(values)[0], values)",
        _of("rules/test_pc", "one_step_from_the_feedforward_pass"),
    ),
    Defect(
        "dtp_forgets_the_difference",
        "rules/targets/dtp.py",
        "difference = population.activate(told) - population.activate(knew)",
        "difference = population.activate(told) - h",
        _of("rules/test_dtp", "without_an_error_no_weight_moves_whatever_the_feedback"),
    ),
    Defect(
        "dtp_guesses_the_activity_without_its_noise",
        "rules/targets/dtp.py",
        "d = population.activate(guess) - h - noisy.injected[name]",
        "d = population.activate(guess) - h",
        _of(
            "rules/test_dtp",
            "feedback_learns_by_the_slope_of_how_badly_it_guesses_and_the_weights_by_nothing_of_it",
        ),
    ),
    Defect(
        "dtp_steps_towards_the_loss",
        "rules/targets/dtp.py",
        "record.output - self.step * error",
        "record.output + self.step * error",
        _of("rules/test_dtp", "targets_and_update_are_those_of_the_equations"),
    ),
    Defect(
        "ipc_learns_after_it_moved",
        "rules/energy/ipc.py",
        'Record({"moving": phase}',
        'Record({"moving": energy.phase(moved(free, energy.force(phase), self.of.rate))}',
        _of("rules/test_ipc", "it_is_what_an_independent_program_does"),
    ),
    Defect(
        "ipc_starts_each_step_from_the_prediction",
        "rules/energy/ipc.py",
        "return state | moved(free, energy.force(phase), self.of.rate), Record",
        "return state, Record",
        _of(
            "rules/test_ipc", "with_weights_that_stand_still_values_settle_as_in_predictive_coding"
        ),
    ),
    Defect(
        "soft_hebb_pulls_the_losers_too",
        "rules/hebbian/soft_hebb.py",
        "jnp.where(won, y, -y)",
        "y",
        _of("rules/test_soft_hebb", "hidden_layers_change_as_the_equations_say"),
    ),
    Defect(
        "soft_hebb_competes_between_samples",
        "rules/hebbian/soft_hebb.py",
        "jax.nn.softmax(rivals / self.temperature, axis=1)",
        "jax.nn.softmax(rivals / self.temperature, axis=0)",
        _of("rules/test_soft_hebb", "hidden_layers_change_as_the_equations_say"),
    ),
    Defect(
        "ep_pulls_from_where_it_pushed",
        "rules/energy/ep.py",
        "rested = _free(net, free.last.post)\n",
        "rested = _free(net, settle(Coupled(net, x, signal, self.beta), _free(net, free.last.post), rate=self.rate, steps=1).last.post)\n",
        _of("rules/test_ep", "every_phase_is_so_many_steps_from_where_it_should_start"),
    ),
    Defect(
        "ep_couples_one_way",
        "rules/energy/ep.py",
        "net[name].unsend(post[name], back) + injected",
        "net[name].unsend(post[name], 0 * back) + injected",
        _of("rules/test_ep", "pull_and_update_are_the_slopes_of_phi"),
    ),
    Defect(
        "ep_nudges_towards_the_loss",
        "rules/energy/ep.py",
        "-self.beta * self.signal.error",
        "self.beta * self.signal.error",
        _of("rules/test_ep", "pull_and_update_are_the_slopes_of_phi"),
    ),
    Defect(
        "node_perturbation_shares_noise_between_samples",
        "rules/perturbation/node_perturbation.py",
        "jax.random.normal(k, many(clean.u[name]).shape, output.dtype) for",
        "jnp.broadcast_to(jax.random.normal(k, clean.u[name].shape[1:], output.dtype)[None], many(clean.u[name]).shape) for",
        _of(
            "rules/test_node_perturbation",
            "the_noise_is_of_its_own_for_each_unit_and_sample_and_has_the_right_size",
        ),
    ),
    Defect(
        "node_perturbation_reuses_its_key_in_every_layer",
        "rules/perturbation/node_perturbation.py",
        "keys = jax.random.split(key, len(clean.u))",
        "keys = [key] * len(clean.u)",
        _of("rules/test_node_perturbation", "layers_of_one_size_have_noise_of_their_own"),
    ),
    Defect(
        "node_perturbation_divides_by_sigma_once",
        "rules/perturbation/node_perturbation.py",
        "worse / (self.sigma**2 * self.draws)",
        "worse / (self.sigma * self.draws)",
        _of("rules/test_node_perturbation", "an_update_is_its_definition"),
    ),
    Defect(
        "esn_forgets_the_batches_before",
        "rules/time/esn.py",
        "return state, memory | kept |",
        "return state, kept | memory |",
        _of(
            "rules/test_esn",
            "several_batches_are_one_regression_and_passes_over_them_change_nothing",
        ),
    ),
    Defect(
        "esn_scales_by_the_norm",
        "rules/time/esn.py",
        "_radius(p.weight.astype(_single(net)))",
        "jnp.linalg.norm(p.weight, 2)",
        _of("rules/test_esn", "each_layer_has_the_spectral_radius_that_was_asked_for"),
    ),
    Defect(
        "three_factor_forgets_what_is_usual",
        "rules/hebbian/three_factor.py",
        'better = reward - signal.weigh(jnp.broadcast_to(memory["mean"], reward.shape))',
        "better = reward",
        _of("rules/test_three_factor", "traces_in_time_are_those_of_a_loop"),
    ),
    Defect(
        "three_factor_keeps_a_trace_for_ever",
        "rules/hebbian/three_factor.py",
        "jnp.exp(-1 / self.tau) * before[part] + e",
        "before[part] + e",
        _of("rules/test_three_factor", "traces_in_time_are_those_of_a_loop"),
    ),
    Defect(
        "predsim_compares_without_turning",
        "rules/local/predsim.py",
        "(by_direction - direction * along) * inverse",
        "by_direction * inverse",
        _of("rules/test_predsim", "every_layer_and_its_heads_descend_the_loss_of_that_layer"),
    ),
    Defect(
        "back_takes_the_past_for_the_present",
        "network/back.py",
        "earlier[name] = population.send(_cell(net, name).read(before))",
        "earlier[name] = sent[name]",
        _of("rules/test_reversible", "it_is_bptt_on_every_graph_that_can_be_gone_back_through"),
    ),
    Defect(
        "round_trip_owes_from_one_piece_to_the_next",
        "learning/time.py",
        "(there, memory, carry.seen), length)",
        "(there, carry.memory, carry.seen), length)",
        _of("rules/test_reversible", "it_is_bptt_on_every_graph_that_can_be_gone_back_through"),
    ),
    Defect(
        "rtrl_forgets_the_past",
        "rules/time/rtrl.py",
        "past[p.src] if p.name in net.recurrent else influence[p.src]",
        "jax.tree.map(jnp.zeros_like, past[p.src]) if p.name in net.recurrent else influence[p.src]",
        _of("rules/test_rtrl", "update_is_autodiff_of_the_unrolled_loop"),
    ),
    Defect(
        "eprop_forgets_the_leak_of_the_readout",
        "rules/time/eprop.py",
        "return _sum([e * drive, *(held.read[j] * d for j, d in by_part.items())])",
        "return e * drive",
        _of("rules/test_eprop", "the_update_is_autodiff_of_the_loop_cut_where_units_send"),
    ),
    Defect(
        "eprop_filters_what_arrives_a_step_late",
        "rules/time/eprop.py",
        "(None, local.after, eps)",
        "(None, local.after, held.eps)",
        _of("rules/test_eprop", "the_update_is_autodiff_of_the_loop_cut_where_units_send"),
    ),
    Defect(
        "rtrl_never_hands_its_activity_on",
        "rules/time/rtrl.py",
        "state, free = net.step(x, state)",
        "_, free = net.step(x, state)",
        _of("rules/test_rtrl", "update_is_autodiff_of_the_unrolled_loop"),
    ),
    Defect(
        "bptt_runs_the_wrong_way_through_time",
        "rules/time/bptt.py",
        "(arrays, error), reverse=True)",
        "(arrays, error))",
        _of("rules/test_bptt", "update_is_autodiff_of_the_unrolled_loop"),
    ),
    Defect(
        "bptt_takes_the_mean_over_time",
        "rules/time/bptt.py",
        "lambda a: a * steps, p.outer(*flat)",
        "lambda a: a, p.outer(*flat)",
        _of("rules/test_bptt", "update_is_autodiff_of_the_unrolled_loop"),
    ),
    Defect(
        "tbptt_counts_a_loss_in_each_window",
        "rules/time/tbptt.py",
        "jnp.where(age < kept.new,",
        "jnp.where(age < k2,",
        _of("rules/test_tbptt", "a_loss_goes_back_so_far_and_no_further"),
    ),
    Defect(
        "tbptt_blames_steps_before_the_first",
        "rules/time/tbptt.py",
        "jnp.where(step > 0, a, 0)",
        "a",
        _of("rules/test_tbptt", "looking_back_to_the_start_it_is_bptt"),
    ),
    Defect(
        "uoro_draws_the_same_signs_for_all_samples",
        "rules/time/uoro.py",
        "jax.random.rademacher(k, u.shape, u.dtype)",
        "jnp.broadcast_to(jax.random.rademacher(k, u.shape[1:], u.dtype), u.shape)",
        _of("rules/test_uoro", "signs_are_signs_and_of_each_step_and_sample"),
    ),
    Defect(
        "uoro_balances_one_of_its_vectors_alone",
        "rules/time/uoro.py",
        "a / rho0 + b / rho1",
        "a + b / rho1",
        _of("rules/test_uoro", "the_mean_over_all_signs_is_the_gradient"),
    ),
    Defect(
        "taylor_goes_down_what_it_should_add",
        "rules/meta/taylor.py",
        "total[part] - term[part] * _power(w, c)",
        "total[part] + term[part] * _power(w, c)",
        _of("rules/test_taylor", "every_term_of_the_polynomial"),
    ),
    Defect(
        "frozen_readout_forgets_the_slope",
        "rules/control/frozen.py",
        "delta = signal.error(record.output) * free.slope[net.output]",
        "delta = signal.error(record.output)",
        _of("rules/test_frozen", "a_readout_that_is_not_linear_gets_its_gradient_too"),
    ),
    Defect(
        "node_perturbation_mixes_draws_with_samples",
        "rules/perturbation/node_perturbation.py",
        "jnp.concatenate([a] * self.draws)",
        "jnp.repeat(a, self.draws, axis=0)",
        _of("rules/test_node_perturbation", "draws_are_averaged_within_a_sample"),
    ),
]

NETWORK = [
    Defect(
        "dense_sends_back_by_its_own_weight",
        "network/projections.py",
        "weight = self.weight if weight is None else weight\n        return (self._fed",
        "weight = self.weight\n        return (self._fed",
        _of("rules/test_fa", "recursion_written_out_in_numpy"),
    ),
    Defect(
        "dense_adds_up_the_batch",
        "network/projections.py",
        "delta = self._fed(delta) / batch",
        "delta = self._fed(delta)",
        _of("rules/test_bp", "update_is_the_mean_over_the_batch_not_the_sum"),
    ),
    Defect(
        "dense_divides_its_bias_twice",
        "network/projections.py",
        'update["bias"] = delta.sum(0)',
        'update["bias"] = delta.mean(0)',
        _of("network/test_projections", "outer_is_the_change_of_the_mean_overlap_with_each_weight"),
    ),
    Defect(
        "pooling_divides_by_the_side",
        "network/convolutions.py",
        '"VALID") / self.pool**2',
        '"VALID") / self.pool',
        _of("network/test_projections", "conv_forward_is_a_loop_over_windows"),
    ),
    Defect(
        "kernels_forget_channels_in_their_fan_in",
        "network/convolutions.py",
        "math.prod(self.weight.shape[:3])",
        "math.prod(self.weight.shape[:2])",
        _of("network/test_network", "fresh_kernels_count_what_a_unit_sums_as_their_fan_in"),
    ),
    Defect(
        "every_projection_is_drawn_from_one_key",
        "network/network.py",
        "keys = jax.random.split(key, len(self.projections))",
        "keys = [key] * len(self.projections)",
        _of(
            "network/test_network",
            "fresh_weights_depend_on_the_key_alone_and_differ_between_projections",
        ),
    ),
    Defect(
        "unsend_keeps_the_radial_part",
        "network/populations.py",
        "return delta / r - post * overlap / (jnp.maximum(rms, NORM_EPSILON) * r**2)",
        "return delta / r",
        _of("network/test_populations", "unsend_is_the_transposed_derivative_of_send"),
    ),
    Defect(
        "relu_has_a_slope_at_its_kink",
        "network/activations.py",
        "return (u > 0).astype(u.dtype)\n\n\ndef _tanh",
        "return (u >= 0).astype(u.dtype)\n\n\ndef _tanh",
        _of("network/test_populations", "slope_at_a_kink_is_that_of_the_flat_side"),
    ),
    Defect(
        "tanh_forgets_the_square",
        "network/activations.py",
        "return 1 - jnp.tanh(u) ** 2",
        "return 1 - jnp.tanh(u)",
        _of("network/test_populations", "slope_is_the_limit_of_differences"),
    ),
    Defect(
        "quantiser_rounds_down",
        "network/activations.py",
        "jnp.round(jnp.clip(u, 0, self.top) / step) * step",
        "jnp.floor(jnp.clip(u, 0, self.top) / step) * step",
        _of("network/test_blackbox", "a_quantiser_has_its_levels_and_takes_the_nearest"),
    ),
    Defect(
        "quantised_units_are_drawn_too_weak",
        "network/activations.py",
        "Levels(bits, float(top)), None, gain=2.0",
        "Levels(bits, float(top)), None, gain=1.0",
        _of(
            "network/test_populations",
            "relu_keeps_half_the_second_moment_that_its_gain_makes_up_for",
        ),
    ),
]

SIGNAL = [
    Defect(
        "cross_entropy_links_by_a_sigmoid",
        "core/signal.py",
        "return jax.nn.softmax(output, axis=-1)",
        "return jax.nn.sigmoid(output)",
        _of("core/test_signal", "error_is_the_gradient_of_the_loss_sample_by_sample"),
    ),
    Defect(
        "squared_error_is_not_halved",
        "core/signal.py",
        "jnp.sum((output - target) ** 2, axis=-1) / 2",
        "jnp.sum((output - target) ** 2, axis=-1)",
        _of("core/test_signal", "squared_error_is_half_the_squared_distance"),
    ),
    Defect(
        "error_ignores_the_weights_of_time_steps",
        "core/signal.py",
        "self.weigh(self.criterion.error(output, self.target))",
        "self.criterion.error(output, self.target)",
        _of("tasks/test_sequences", "a_signal_at_a_step_is_that_step_and_its_parts_add_up"),
    ),
    Defect(
        "signal_comes_a_step_late",
        "core/signal.py",
        "jax.lax.dynamic_index_in_dim(a, t, 1, keepdims=False) for a",
        "jax.lax.dynamic_index_in_dim(a, t - 1, 1, keepdims=False) for a",
        _of("tasks/test_sequences", "a_signal_at_a_step_is_that_step_and_its_parts_add_up"),
    ),
]

TRAINING = [
    Defect(
        "every_step_has_the_same_noise",
        "training/step.py",
        "key = branch(learner.key, NOISE, learner.step)",
        "key = branch(learner.key, NOISE)",
        _of("training/test_step", "each_step_brings_noise_of_its_own"),
    ),
    Defect(
        "moments_never_move",
        "training/step.py",
        "moments = (*learner.moments[:turn], (theta_moments, gamma_moments), *learner.moments[turn + 1 :])\n    return",
        "moments = learner.moments\n    return",
        _of("training/test_step", "learning_is_optax_on_the_gradient"),
    ),
    Defect(
        "a_sequence_starts_where_the_last_one_ended",
        "learning/time.py",
        '"""A sequence leaves nothing behind but what was learnt."""\n        return ()',
        '"""A sequence leaves nothing behind but what was learnt."""\n        return memory',
        _of("rules/test_rtrl", "one_update_a_sequence_is_a_step_of_bptt"),
    ),
    Defect(
        "every_epoch_has_the_same_order",
        "training/programs.py",
        "branch(learner.key, ORDER, learner.step - first), size",
        "branch(learner.key, ORDER), size",
        _of(
            "training/test_fit", "an_epoch_takes_each_sample_once_and_every_rule_in_the_same_order"
        ),
    ),
    Defect(
        "samples_that_fill_up_a_chunk_count",
        "training/programs.py",
        "jnp.where(real.reshape(-1, *[1] * (v.ndim - 1)), v, 0)",
        "v",
        _of("training/test_fit", "scoring_in_chunks_that_do_not_divide_the_split_changes_nothing"),
    ),
    Defect(
        "a_failure_is_dated_one_late",
        "training/programs.py",
        "learner.failed, start + broke)",
        "learner.failed, start + broke + 1)",
        _of("training/test_fit", "the_update_that_broke_is_named"),
    ),
    Defect(
        "a_failed_learner_goes_on",
        "training/layout.py",
        "jax.lax.cond(learner.failed < 0, function",
        "jax.lax.cond(learner.failed < 2**30, function",
        _of("training/test_fit", "a_seed_that_diverges_is_stopped_and_explained"),
    ),
    Defect(
        "the_curve_is_of_the_test_split",
        "training/course.py",
        'self.loop.score("validation", ',
        'self.loop.score("test", ',
        _of("training/test_fit", "until_the_end_nothing_reads_the_test_split"),
    ),
    Defect(
        "the_curve_is_of_the_training_split",
        "training/course.py",
        'self.loop.score("validation", ',
        'self.loop.score("train", ',
        _of(
            "training/test_fit",
            "the_curve_ends_at_the_validation_scores_of_the_weights_handed_back",
        ),
    ),
    Defect(
        "tune_judges_untrained_networks",
        "training/abreast.py",
        "judged(main, *both) for both in zip(first, last, strict=True)",
        "judged(main, *both) for both in zip(first, first, strict=True)",
        _of("training/test_tune", "trials_side_by_side_are_trainings_by_fit"),
    ),
    Defect(
        "tuned_hyper_parameters_are_dropped",
        "training/tune.py",
        "return dataclasses.replace(rule, **{name: value for name, value in values.items() if name != RATE})",
        "return dataclasses.replace(rule)",
        _of("training/test_tune", "what_the_verb_keeps_of_a_trial_is_what_fit_makes_of_its_values"),
    ),
    Defect(
        "trials_share_a_learning_rate",
        "training/abreast.py",
        "_at(optimisers, rates[i], ",
        "_at(optimisers, rates[0], ",
        _of("training/test_tune", "trials_side_by_side_are_trainings_by_fit"),
    ),
    Defect(
        "lost_seeds_cost_nothing",
        "training/result.py",
        "np.where(np.isfinite(last), last, first).mean()",
        "np.nanmean(last)",
        _of("training/test_tune", "a_lost_seed_counts_as_it_was_before_it_learned"),
    ),
    Defect(
        "a_search_proposes_from_its_own_round",
        "training/tune.py",
        "_Study(ranges, done[:first], ",
        "_Study(ranges, done, ",
        _of("training/test_tune", "a_file_cut_anywhere_is_gone_on_with"),
    ),
    Defect(
        "a_program_outlives_its_code",
        "training/programs.py",
        "return _kept(mould, same, setting, code)",
        "return _kept(mould, same, setting, ())",
        _of("training/test_numbers", "code_that_changed_is_compiled_anew"),
    ),
    Defect(
        "a_branch_keeps_the_rate_of_its_parent",
        "training/checkpoint.py",
        "return at_rates_of(learners, restored) if branched else restored",
        "return restored",
        _of(
            "training/test_checkpoint",
            "a_branch_goes_on_with_a_change_and_leaves_the_run_as_it_was",
        ),
    ),
    Defect(
        "the_result_is_of_the_validation_split",
        "training/fit.py",
        'loop.answered("test")',
        'loop.answered("validation")',
        _of("training/test_fit", "test_scores_are_those_of_the_weights_handed_back"),
    ),
    Defect(
        "cosine_counts_batches_and_not_updates",
        "training/plan.py",
        "batches * updates)",
        "batches)",
        _of("training/test_fit_in_time", "schedule_spans_all_the_updates_there_are"),
    ),
    Defect(
        "the_microscope_looks_at_training_samples",
        "training/loop.py",
        'self.data["validation"].first(self.probe)',
        'self.data["train"].first(self.probe)',
        _of("training/test_fit", "the_microscope_looks_at_validation_samples"),
    ),
    Defect(
        "looking_counts_as_training",
        "training/course.py",
        "self.at.look_seconds + seconds",
        "self.at.look_seconds + seconds\n        self.at.seconds += seconds",
        _of("training/test_fit", "training_time_is_that_of_the_training_calls_alone"),
    ),
    Defect(
        "training_time_is_halved",
        "training/course.py",
        "at.step + last - first, at.seconds + seconds",
        "at.step + last - first, at.seconds + seconds / 2",
        _of("training/test_fit", "training_time_is_that_of_the_training_calls_alone"),
    ),
    Defect(
        "the_first_call_is_training_time",
        "training/loop.py",
        "self._update(0, int(self.net.differentiable))",
        "self._update(0, 0)",
        _of("training/test_fit", "what_the_first_update_of_a_program_costs_is_not_training_time"),
    ),
    Defect(
        "the_memory_of_an_update_leaves_out_what_is_temporary",
        "training/programs.py",
        "used.temp_size_in_bytes,",
        "0,",
        _of("training/test_fit", "the_memory_of_an_update_holds_what_backprop_has_to_keep"),
    ),
    Defect(
        "advice_is_of_the_first_epoch",
        "training/fit.py",
        'last = history.last("train")',
        'last = {k.removeprefix("train/"): c.values[:, 0] for k, c in history.items() if k.startswith("train/")}',
        _of("training/test_fit", "advice_is_of_the_last_epoch"),
    ),
    Defect(
        "momentum_is_one_half",
        "training/optimisers.py",
        "optax.sgd(rate, momentum=0.9)",
        "optax.sgd(rate, momentum=0.5)",
        _of("training/test_control", "an_optimiser_by_name_is_that_of_optax"),
    ),
    Defect(
        "adamw_is_adam",
        "training/optimisers.py",
        '"adamw": optax.adamw',
        '"adamw": optax.adam',
        _of("training/test_control", "an_optimiser_by_name_is_that_of_optax"),
    ),
    Defect(
        "an_episode_is_asked_what_it_was_trained_on",
        "meta/learn.py",
        'splits["train"], splits["validation"], episode, key',
        'splits["train"], splits["train"], episode, key',
        _of(
            "meta/test_learn",
            "episodes_are_asked_what_they_did_not_see_and_short_rules_are_preferred",
        ),
    ),
    Defect(
        "long_rules_are_preferred",
        "meta/learn.py",
        "jnp.mean(a, 0) + sparsity * jnp.sign(w)",
        "jnp.mean(a, 0) - sparsity * jnp.sign(w)",
        _of(
            "meta/test_learn",
            "episodes_are_asked_what_they_did_not_see_and_short_rules_are_preferred",
        ),
    ),
    Defect(
        "a_learned_rule_began_as_it_ended",
        "meta/learn.py",
        "return Found(found, began,",
        "return Found(found, found,",
        _of(
            "meta/test_learn",
            "episodes_are_asked_what_they_did_not_see_and_short_rules_are_preferred",
        ),
    ),
    Defect(
        "episodes_see_the_first_samples_alone",
        "meta/learn.py",
        "jax.random.randint(key, (episode.batch,), 0, train.size)",
        "jax.random.randint(key, (episode.batch,), 0, episode.batch)",
        _of("meta/test_learn", "an_episode_draws_from_all_of_the_training_samples"),
    ),
    Defect(
        "episodes_that_ran_away_are_not_told",
        "meta/learn.py",
        "skipped += int(lost)",
        "skipped += 0",
        _of("meta/test_learn", "episodes_that_ran_away_are_told_and_move_nothing"),
    ),
    Defect(
        "a_trial_takes_the_worst_rate",
        "meta/trial.py",
        "(max if task.scores[0].higher else min)",
        "(min if task.scores[0].higher else max)",
        _of("meta/test_learn", "a_trial_takes_the_rate_that_is_best_on_validation"),
    ),
    Defect(
        "a_trial_chooses_by_the_test_split",
        "meta/trial.py",
        "found[1].validated",
        "found[1].test[task.scores[0].name].mean()",
        _of("meta/test_learn", "a_trial_takes_the_rate_that_is_best_on_validation"),
    ),
]

SEEDS = [
    Defect(
        "all_seeds_are_the_first",
        "training/loop.py",
        "jnp.array(self._filled(seeds), jnp.uint32)",
        "jnp.array(self._filled(seeds[:1] * len(seeds)), jnp.uint32)",
        _of("training/test_fit", "three_seeds_are_three_runs_bit_for_bit"),
    ),
    Defect(
        "learners_that_fill_up_devices_are_counted",
        "training/loop.py",
        "jax.tree.map(lambda a: a[: len(self.seeds)], self.layout.fetch(tree))",
        "self.layout.fetch(tree)",
        _of("training/test_fit", "learners_that_fill_up_devices_are_never_seen"),
    ),
    Defect(
        "gamma_and_weights_share_a_branch_of_the_key",
        "training/step.py",
        "WEIGHTS, GAMMA, ORDER, NOISE, GROWTH = range(5)",
        "WEIGHTS, GAMMA, ORDER, NOISE, GROWTH = 0, 0, 1, 2, 3",
        _of("training/test_step", "branches_of_a_key_never_meet"),
    ),
]

CHECKPOINTS = [
    Defect(
        "moments_are_not_restored",
        "training/checkpoint.py",
        "new = np.concatenate([np.asarray(kept[name], own.dtype), own[len(kept[name]) :]])",
        'new = own if name.startswith(".moments") else np.concatenate([np.asarray(kept[name], own.dtype), own[len(kept[name]) :]])',
        _of("training/test_checkpoint", "a_stopped_training_ends_as_one_that_never_was[bp]"),
    ),
    Defect(
        "an_epoch_begins_anew_after_a_stop",
        "training/course.py",
        "first, told = at.step % steps, len(at.readings)",
        "first, told = 0, len(at.readings)",
        _of("training/test_checkpoint", "a_stopped_training_ends_as_one_that_never_was[bp]"),
    ),
    Defect(
        "scores_of_the_epoch_under_way_are_lost",
        "training/checkpoint.py",
        '"scores": scores})',
        '"scores": {}})',
        _of("training/test_checkpoint", "a_stopped_training_ends_as_one_that_never_was[bp]"),
    ),
    Defect(
        "a_rule_forgets_what_it_carries",
        "training/checkpoint.py",
        "new = np.concatenate([np.asarray(kept[name], own.dtype), own[len(kept[name]) :]])",
        'new = own if name.startswith(".memory") else np.concatenate([np.asarray(kept[name], own.dtype), own[len(kept[name]) :]])',
        _of("training/test_checkpoint", "a_stopped_training_ends_as_one_that_never_was[ff]"),
    ),
    Defect(
        "a_checkpoint_goes_on_with_other_data",
        "training/checkpoint.py",
        '| {"data": contents(data)} | where',
        "| where",
        _of("training/test_checkpoint", "a_checkpoint_of_other_data_is_refused"),
    ),
    Defect(
        "a_branch_keeps_the_moments_of_another_optimiser",
        "training/checkpoint.py",
        "if branched and shapes[0] != shapes[1]:",
        "if shapes[0] != shapes[0]:",
        _of("training/test_checkpoint", "another_optimiser_starts_with_moments_of_its_own"),
    ),
    Defect(
        "labels_are_left_out_of_the_checksum",
        "training/checkpoint.py",
        "zlib.crc32(np.asarray(split.y).tobytes(), crc)",
        "crc",
        _of("training/test_checkpoint", "a_checkpoint_of_other_data_is_refused"),
    ),
    Defect(
        "a_checkpoint_forgets_its_schedule",
        "training/plan.py",
        '"lr_gamma", "schedule", "probe",',
        '"lr_gamma", "probe",',
        _of(
            "training/test_checkpoint", "a_checkpoint_of_another_training_is_refused_and_left_alone"
        ),
    ),
    Defect(
        "a_checkpoint_forgets_how_many_devices_there_were",
        "training/checkpoint.py",
        '"devices": jax.device_count(),',
        '"devices": 1,',
        _of("training/test_checkpoint", "a_checkpoint_of_another_machine_is_refused"),
    ),
    Defect(
        "a_checkpoint_forgets_its_precision",
        "training/checkpoint.py",
        "jnp.zeros(()).dtype == jnp.float64",
        "True",
        _of("training/test_checkpoint", "a_checkpoint_of_another_machine_is_refused"),
    ),
    Defect(
        "gamma_is_not_restored",
        "training/checkpoint.py",
        "restored = jax.tree.unflatten(shape, filled)",
        "restored = jax.tree.unflatten(shape, filled)\n    restored = dataclasses.replace(restored, gamma=learners.gamma)",
        _of(
            "training/test_checkpoint",
            "a_stopped_training_ends_as_one_that_never_was[kolen_pollack]",
        ),
    ),
    Defect(
        "a_lost_bit_is_loaded",
        "training/store.py",
        'header["crc"] != str(_crc(arrays))',
        'header["crc"] == ""',
        _of(
            "training/test_checkpoint",
            "a_damaged_checkpoint_is_said_and_the_one_before_can_be_used",
        ),
    ),
]

TASKS = [
    Defect(
        "digits_are_trained_on_the_test",
        "tasks/digits.py",
        "Images(x[:-TEST_SIZE], y[:-TEST_SIZE], x[",
        "Images(x, y, x[",
        _of("conformance/test_tasks", "digits_are_those_of_scikit_learn_each_once"),
    ),
    Defect(
        "validation_is_part_of_training",
        "tasks/_images.py",
        "jnp.asarray(images.train_x[train:]), jnp.asarray(images.train_y[train:])",
        "jnp.asarray(images.train_x[: self.validation]), jnp.asarray(images.train_y[: self.validation])",
        _of(
            "conformance/test_tasks",
            "validation_takes_the_last_of_training_and_leaves_the_test_alone",
        ),
    ),
    Defect(
        "sequences_of_the_test_are_those_of_validation",
        "tasks/_sequences.py",
        '(ends["validation"][1], ends["validation"][1] + rest)',
        '(ends["validation"][0], ends["validation"][1])',
        _of("tasks/test_sequences", "splits_are_ranges_of_numbers_without_overlap"),
    ),
    Defect(
        "a_number_gives_another_sequence_each_time",
        "tasks/_sequences.py",
        "jax.random.fold_in(seeded(0), n)",
        "jax.random.fold_in(key, n)",
        _of(
            "tasks/test_sequences", "a_number_gives_one_sequence_wherever_and_whenever_it_is_drawn"
        ),
    ),
    Defect(
        "the_cue_comes_a_step_early",
        "tasks/copy.py",
        ".at[self.pattern + self.delay]",
        ".at[self.pattern + self.delay - 1]",
        _of("tasks/test_sequences", "copy_shows_a_pattern_and_asks_for_it_from_the_cue_on"),
    ),
    Defect(
        "adding_marks_both_numbers_anywhere",
        "tasks/adding.py",
        "jax.random.randint(first, (), 0, half)",
        "jax.random.randint(first, (), 0, self.length)",
        _of(
            "tasks/test_sequences", "adding_asks_for_the_sum_of_two_numbers_marked_one_in_each_half"
        ),
    ),
    Defect(
        "scaling_sees_what_is_tested",
        "tasks/data.py",
        'np.isin(np.arange(len(strata)), index["train"])',
        "np.ones(len(strata), bool)",
        _of("tasks/test_folds", "scaling_knows_the_training_samples_of_the_fold_alone"),
    ),
    Defect(
        "a_forecast_is_scaled_by_its_future",
        "tasks/_forecast.py",
        'np.arange(len(self.rows)) < self.bounds(shares)["train"][1]',
        "np.ones(len(self.rows), bool)",
        _of("tasks/test_forecast", "windows_are_those_of_a_plain_loop"),
    ),
    Defect(
        "a_forecast_trains_on_what_is_validated",
        "tasks/_forecast.py",
        "last - horizon + 1)",
        "last + 1)[: len(series.rows) - horizon]",
        _of("tasks/test_forecast", "windows_are_those_of_a_plain_loop"),
    ),
    Defect(
        "the_warmup_of_a_series_counts",
        "tasks/_series.py",
        "np.arange(self.length) >= self.warmup",
        "np.arange(self.length) >= 0",
        _of("tasks/test_series", "a_forecast_asks_for_what_comes_some_steps_later"),
    ),
    Defect(
        "a_voice_is_trained_on_and_tested",
        "tasks/_spoken.py",
        "~np.isin(who, (self.validation, self.test))",
        "~np.isin(who, (self.validation,))",
        _of("tasks/test_spoken", "no_voice_is_in_two_splits"),
    ),
    Defect(
        "digits_are_shuffled_another_way",
        "tasks/digits.py",
        "np.random.default_rng(0)",
        "np.random.default_rng(1)",
        _of("conformance/test_tasks", "digits_are_those_of_scikit_learn_each_once"),
    ),
]

AUDIT = [
    Defect(
        "flow_takes_every_product_for_a_forward_one",
        "audit/use.py",
        "if over & {POST, BOTH}:\n        return Use(OTHERWISE, None, over)",
        "if over & {POST, BOTH}:\n        return Use(FORWARDS, None, over)",
        _of("audit/test_flow", "a_weight_used_backwards"),
    ),
    Defect(
        "flow_turns_a_loop_once",
        "audit/reader.py",
        "while (grown := [a | b for a, b in zip(carry, turn(carry), strict=True)]) != carry:\n        carry = grown\n    return carry",
        "return [a | b for a, b in zip(carry, turn(carry), strict=True)]",
        _of("audit/test_flow", "a_label_that_comes_through_a_loop_late_is_not_lost"),
    ),
    Defect(
        "flow_is_blind_to_who_chose",
        "audit/reader.py",
        "return dataclasses.replace(flow | dataclasses.replace(choice, held=held), constant=False)",
        "return dataclasses.replace(flow, constant=False)",
        _of("audit/test_flow", "a_cond_joins_its_branches_and_its_predicate"),
    ),
    Defect(
        "flow_takes_an_unknown_program_for_none",
        "audit/reader.py",
        "made = _unknown(self._everything) if equation.opaque else",
        "made = NOTHING if equation.opaque else",
        _of("audit/test_flow", "an_unknown_program_is_everything_never_nothing"),
    ),
    Defect(
        "audit_is_blind_to_copies_made_at_the_start",
        "audit/steps.py",
        "held = {name: _held(name, union([flow])) for name, flow in zip(self.start.results, begun, strict=True)}",
        "held = {name: NOTHING for name, flow in zip(self.start.results, begun, strict=True)}",
        _of("audit/test_verdicts", "a_rule_that_lies_is_caught[CopiedAtInit-mlp]"),
    ),
    Defect(
        "audit_is_blind_to_the_record",
        "audit/steps.py",
        "self._sources(turn.g, held, given | record)",
        "self._sources(turn.g, held, given)",
        _of("audit/test_verdicts", "a_transpose_in_f_is_caught_whatever_it_is_made_of"),
    ),
    Defect(
        "audit_looks_for_locks_upstream",
        "audit/verdict.py",
        "if p.dst in net.upstream(q.src, recurrent=False)} - before",
        "if q.dst in net.upstream(p.src, recurrent=False)}",
        _of(
            "audit/test_verdicts", "hard_negatives_lock_forward_forward_by_a_discrete_choice_alone"
        ),
    ),
    Defect(
        "audit_takes_the_present_for_the_future",
        "audit/in_time.py",
        "_longest_wait(long) > _longest_wait(short)",
        "_longest_wait(long) >= _longest_wait(short)",
        _of("audit/test_honest", "the_future_is_what_has_to_be_waited_for"),
    ),
    Defect(
        "the_audit_counts_feedback_as_memory",
        "audit/verdict.py",
        'if not name.startswith("gamma.") or (size == "influence" and name in round.results)',
        "if name",
        _of("audit/test_verdicts", "every_rule_does_what_it_claims[fa-mlp]"),
    ),
    Defect(
        "a_number_a_synapse_counts_as_one_a_unit",
        "audit/carried.py",
        '"units" if grows < 1.5 else',
        '"units" if grows < 2.5 else',
        _of("audit/test_hidden", "memory_is_what_it_grows_like"),
    ),
]

MEASURES = [
    Defect(
        "signs_agree_where_there_is_no_gradient",
        "metrics/microscope.py",
        "jnp.sum(there & (jnp.sign(update)",
        "jnp.sum((jnp.sign(update)",
        _of("metrics/test_microscope", "where_neither_side_says_anything_there_is_no_agreement"),
    ),
    Defect(
        "norm_ratio_is_upside_down",
        "metrics/microscope.py",
        "lengths[0] / lengths[1]",
        "lengths[1] / lengths[0]",
        _of("metrics/test_microscope", "a_multiple_of_the_gradient"),
    ),
    Defect(
        "the_true_gradient_adds_up_the_batch",
        "metrics/microscope.py",
        "jnp.sum(signal.loss(record.output)) / x.shape[0]",
        "jnp.sum(signal.loss(record.output))",
        _of("metrics/test_microscope", "a_rule_made_for_it"),
    ),
    Defect(
        "intervals_have_one_tail",
        "runs/statistics.py",
        "stdtrit(n - 1, 0.975)",
        "stdtrit(n - 1, 0.95)",
        _of("report/test_report_summary", "interval_of_students_sleep_data"),
    ),
    Defect(
        "folds_count_as_independent",
        "runs/statistics.py",
        "variance * (1 / n + overlap)",
        "variance / n",
        _of("experiment/test_study", "the_interval_over_folds_is_that_of_nadeau_and_bengio"),
    ),
    Defect(
        "a_tie_with_the_control_is_a_win",
        "runs/statistics.py",
        "sum(mine > theirs if score.higher else",
        "sum(mine >= theirs if score.higher else",
        _of("report/test_report_summary", "a_tie_with_the_control_is_no_win"),
    ),
    Defect(
        "a_line_without_any_error_lies_at_a_lower_mark",
        "report/charts.py",
        "best if (missing == 0).any() else best - sign * least",
        "best - sign * least",
        _of(
            "report/test_report_page",
            "a_line_without_any_error_lies_at_the_mark_of_100_and_nothing_else_does",
        ),
    ),
    Defect(
        "the_steps_of_a_score_leave_no_doubt",
        "runs/statistics.py",
        "differences.var(ddof=1).item() + grain**2 / 6",
        "differences.var(ddof=1).item()",
        _of("report/test_report_summary", "two_seeds_that_agree_leave_no_interval_of_width_zero"),
    ),
    Defect(
        "a_lost_seed_beats_all_others",
        "runs/statistics.py",
        "worst = -math.inf if score.higher else math.inf",
        "worst = math.inf if score.higher else -math.inf",
        _of("report/test_report_summary", "seeds_that_were_lost_count_as_lost"),
    ),
    Defect(
        "pairs_go_by_place_and_not_by_seed",
        "runs/statistics.py",
        "dict(zip(outcome.seeds, values, strict=True))",
        "dict(enumerate(values))",
        _of("report/test_report_summary", "pairs_are_of_the_same_seed_wherever_it_stands"),
    ),
    Defect(
        "the_sampling_error_is_a_variance",
        "core/score.py",
        "math.sqrt(max(value * (1 - value), 0.0) / size)",
        "(max(value * (1 - value), 0.0) / size)",
        _of("report/test_report_summary", "the_sampling_error_is_that_of_a_share"),
    ),
    Defect(
        "any_frozen_network_is_a_control",
        "runs/outcomes.py",
        "control = self[label].control",
        "control = CONTROL",
        _of("report/test_report_summary", "a_rule_is_held_against_the_control_in_its_own_network"),
    ),
    Defect(
        "no_network_is_the_same_as_another",
        "experiment/experiment.py",
        "jax.tree.structure(one) == jax.tree.structure(other) and shapes(one) == shapes(other)",
        "shapes(one) == shapes(other)",
        _of("experiment/test_compare", "a_rule_with_a_network_of_its_own_has_a_control_of_its_own"),
    ),
    Defect(
        "the_output_is_told_by_its_name",
        "training/fit.py",
        "OUTPUT if p.dst == net.output else HIDDEN",
        'OUTPUT if p.dst == "output" else HIDDEN',
        _of("experiment/test_compare", "which_projection_is_hidden_is_the_networks_to_say"),
    ),
    Defect(
        "angles_of_the_output_count_as_hidden",
        "report/table.py",
        "outcome.projections.get(name) == HIDDEN",
        "name in outcome.projections",
        _of("report/test_report_summary", "the_table_by_hand"),
    ),
    Defect(
        "a_seed_that_failed_has_predictions",
        "training/loop.py",
        "lost = ~sound.reshape(",
        "lost = ~np.ones_like(sound).reshape(",
        _of("training/test_fit", "a_seed_that_diverges_is_stopped_and_explained"),
    ),
    Defect(
        "what_fills_up_the_last_chunk_is_a_prediction",
        "training/loop.py",
        "{k: v[:, :real] for k, v in flat.items()}",
        "flat",
        _of("training/test_fit", "scoring_in_chunks_that_do_not_divide_the_split_changes_nothing"),
    ),
    Defect(
        "steps_that_do_not_count_are_predictions",
        "training/programs.py",
        "(counts > 0).reshape(",
        "(counts >= 0).reshape(",
        _of(
            "training/test_fit_in_time",
            "of_a_sequence_with_many_answers_each_step_that_counts_is_kept",
        ),
    ),
    Defect(
        "a_confusion_is_turned_round",
        "metrics/predictions.py",
        "truth[asked].astype(int) * classes + said[asked]",
        "said[asked].astype(int) * classes + truth[asked]",
        _of("metrics/test_classes", "it_is_what_scikit_learn_has"),
    ),
    Defect(
        "a_class_without_samples_lowers_the_balanced_accuracy",
        "metrics/predictions.py",
        "np.isfinite(recall).sum(1)",
        "np.ones_like(recall).sum(1)",
        _of("metrics/test_classes", "a_class_without_samples_does_not_count"),
    ),
    Defect(
        "a_curve_of_one_point_has_no_ink",
        "report/charts.py",
        "if len(line) == 1:",
        "if len(line) == 0:",
        _of("report/test_report_page", "a_curve_of_one_point_is_drawn"),
    ),
    Defect(
        "an_axis_that_is_not_known_locks_the_run",
        "core/metric.py",
        'SCALES.get(axis.get("kind", ""), Scale)',
        'SCALES[axis["kind"]]',
        _of(
            "report/test_report_run",
            "a_metric_that_nobody_here_knows_is_shown_as_it_declares_itself",
        ),
    ),
    Defect(
        "a_rate_of_one_rule_is_lost",
        "experiment/experiment.py",
        'given[label]["lr"] = rate',
        "pass",
        _of("experiment/test_compare", "a_rate_of_one_rule"),
    ),
    Defect(
        "what_waits_for_its_turn_is_forgotten",
        "experiment/experiment.py",
        "if not held.begun:",
        "if held.begun:",
        _of("experiment/test_compare", "a_rule_that_did_not_get_its_turn_is_in_the_run"),
    ),
]

DEFECTS = [*RULES, *NETWORK, *SIGNAL, *TRAINING, *SEEDS, *CHECKPOINTS, *TASKS, *AUDIT, *MEASURES]
