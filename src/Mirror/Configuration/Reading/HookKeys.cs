using static Mirror.Configuration.Reading.KnownKeys;
using static Mirror.Configuration.Reading.ValueRules;

namespace Mirror.Configuration.Reading;

/// <summary>The rows of the keys that send lines of the log elsewhere: <c>log.hooks</c> and section <c>reporting</c>.</summary>
internal static class HookKeys
{
    private static readonly string[] Levels = ["panic", "fatal", "error", "warn", "warning", "info", "debug"];

    public static KnownKey Hooks => List("hooks", Section("*",
        Value("disabled", TrueOrFalse),
        Value("type"),
        List("levels", Value("*")),
        Section("options",
            Section("smtp", Value("addr", HostAndPort), Value("username"), Value("password").Secret(), Value("insecure", TrueOrFalse)),
            Value("from"),
            List("to", Value("*"))).InVariables("mailoptions")));

    public static KnownKey Reporting => Section("reporting",
        Section("bugsnag", Value("apikey").Secret(), Value("releasestage"), Value("endpoint", EndpointUrl)),
        Section("newrelic",
            Value("licensekey").Secret(),
            Value("name"),
            Value("verbose", TrueOrFalse)));

    /// <summary>Adds a warning for each hook that sends nothing.</summary>
    public static void Warn(MirrorOptions options, Findings findings)
    {
        foreach (var (i, hook) in options.Log.Hooks.Index().Where(entry => !entry.Item.Disabled))
            if (hook.Type is not LogHookOptions.Mail)
                findings.Warnings.Add(
                    $"log.hooks.{i}.type: there is no hook \"{hook.Type}\" here, and the entry does nothing; the one kind is mail");
            else
            {
                foreach (var word in hook.Levels.Except(Levels, StringComparer.OrdinalIgnoreCase))
                    findings.Warnings.Add(
                        $"log.hooks.{i}.levels: \"{word}\" is no level and counts as panic; the levels are {string.Join(", ", Levels)}");
                string?[] missing =
                [
                    hook.Levels is [] ? "levels" : null,
                    hook.Options.Smtp.Addr is null ? "options.smtp.addr" : null,
                    hook.Options.From is null ? "options.from" : null,
                    hook.Options.To is [] ? "options.to" : null,
                ];
                if (!hook.IsUsed)
                    findings.Warnings.Add(
                        $"log.hooks.{i} sends no mail: it has no {string.Join(" and no ", missing.OfType<string>())}");
            }
        if (options.Reporting.Bugsnag.ApiKey is { Length: not 32 })
            findings.Warnings.Add("reporting.bugsnag.apikey: Bugsnag's keys have 32 characters, and this one has not");
    }
}
