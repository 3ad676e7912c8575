using Mirror.Configuration.Reading;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The keys <c>cors.*</c>: which pages of other hosts may read the answers. They become <c>http.cors</c>.</summary>
internal static class OldCors
{
    private const string EveryPage = "*";

    public static void Translate(OldSettings old)
    {
        if (old.List("cors.origins") is not [_, ..] origins)
        {
            old.SayOfAll("cors.", OldKeyFate.WithoutEffect, "cors.origins names no page");
            return;
        }
        var withCredentials = old.Flag("cors.supports_credentials") == true;
        // In 0.x a star anywhere else is a part of a regular expression, which matches other hosts than the same text here.
        var patterns = origins.Where(origin => origin is not EveryPage
            && (origin.Contains('*', StringComparison.Ordinal) || ValueRules.Origin.Canonical(origin) is null));
        if (patterns.Any() || withCredentials && origins.Contains(EveryPage))
        {
            old.Say("cors.origins", OldKeyFate.NotDone, patterns.FirstOrDefault() is { } pattern
                ? $"{pattern} is not the address of a host; name the hosts, or write today's file, where https://*.example.org stands for "
                    + "every host below example.org (http.cors.origins)"
                : "pages of every host must not use a user's login; name the hosts, or set cors.supports_credentials: false");
            old.SayOfAll("cors.", OldKeyFate.WithoutEffect, "cors.origins is not done");
            return;
        }
        foreach (var list in new[] { "origins", "methods", "headers", "expose_headers" })
            if (old.Has($"cors.{list}"))
            {
                old.Set($"http.cors.{list}", new YamlSequenceNode(old.List($"cors.{list}").Select(entry => new YamlScalarNode(entry))));
                old.Say($"cors.{list}", OldKeyFate.Taken, $"http.cors.{list}");
            }
        old.Take("cors.max_age", "http.cors.max_age");
        old.Take("cors.supports_credentials", "http.cors.supports_credentials");
        old.Say("cors.send_wildcard", OldKeyFate.WithoutEffect, "* is sent if it is in cors.origins, and else the page's own address");
        old.Say("cors.vary_header", OldKeyFate.WithoutEffect, "Vary is sent if the answer depends on the page");
        old.Say("cors.always_send", OldKeyFate.WithoutEffect, "only browsers read the headers, and they always say which page asks");
        old.Say("cors.automatic_options", OldKeyFate.WithoutEffect, "OPTIONS is answered always");
        old.SayOfAll("cors.resources", OldKeyFate.WithoutEffect, "the headers are sent for every path of the registry");
        old.SayOfAll("cors.", OldKeyFate.WithoutEffect, "it has its default");
    }
}
