using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>Lines of the log that are sent elsewhere.</summary>
public sealed class HookMetrics(MirrorMeter meter)
{
    private static readonly string[] Hooks = ["mail", "bugsnag"];
    private static readonly string[] Outcomes = ["sent", "failed", "left_out"];

    private readonly Counter<long> _lines = meter.ZeroCounter(
        "mirror_hook_lines_total", "Lines of the log for a mail server or Bugsnag, by what became of them.", null,
        [.. Hooks.SelectMany(hook => Outcomes.Select(outcome => (Tag[])[new("hook", hook), new("outcome", outcome)]))]);

    /// <param name="hook"><c>mail</c> or <c>bugsnag</c>.</param>
    /// <param name="outcome"><c>sent</c>, <c>failed</c> or <c>left_out</c>.</param>
    public void Counted(string hook, string outcome) => _lines.Add(1, new Tag("hook", hook), new Tag("outcome", outcome));
}
