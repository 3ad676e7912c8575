using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Mirror.Admin;
using Mirror.Configuration.Reading;
using static Mirror.Web.Words;

namespace Mirror.Commands;

/// <summary>The verbs that ask a running server: <c>images</c>, <c>usage</c>, <c>why</c> and others.</summary>
internal static class AdminCommands
{
    // A store that the server has never read may take it hours.
    private static readonly TimeSpan MaxFirstRead = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan FirstReadPause = TimeSpan.FromMilliseconds(500);

    private static readonly AdminJson Json = AdminJson.Default;

    public static IEnumerable<Command> Create(IReadOnlyDictionary<string, string> environment)
    {
        var server = new AdminConnection(environment);
        foreach (var command in new[]
        {
            Images(server), Usage(server), Why(server), Purge(server), Pin(server, "pin", "Keep an image: no eviction takes it."),
            Pin(server, "unpin", "Take a pin away."), Release(server), Evict(server), WarmCommand.Create(server), Reload(server),
        })
        {
            server.AddTo(command);
            foreach (var argument in command.Arguments)
                argument.Validators.Add(given =>
                {
                    foreach (var file in given.Tokens.Select(token => token.Value).Where(ConfigurationArgument.IsFile))
                        given.AddError($"{file} is a file, and {argument.Name} is required. Name the configuration file with -c.");
                });
            yield return command;
        }
    }

    private static Command Images(AdminConnection server)
    {
        Argument<string?> search = new("SEARCH")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "Show only images with this in their name and tag.",
        };
        Option<bool> json = new("--json") { Description = "Write each image as one line of JSON." };
        var command = new Command("images", "List the stored images: platforms, size, shared bytes, last use, pulls.") { search, json };
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var query = QueryString.Create("n", "200");
            if (parsed.GetValue(search) is { } text)
                query = query.Add("search", text);
            var path = $"images{query}";
            var (count, isComplete, isTold, began) = (0, true, false, Stopwatch.GetTimestamp());
            while (true)
            {
                var page = await api.GetAsync(path, Json.ImagePage, stop);
                // The server waits for some seconds before it answers this.
                if (!page.Complete && count == 0 && Stopwatch.GetElapsedTime(began) < MaxFirstRead)
                {
                    if (!isTold)
                        await parsed.InvocationConfiguration.Error.WriteLineAsync(
                            "the server is reading its store for the first time; waiting for the list");
                    isTold = true;
                    await Task.Delay(FirstReadPause, stop);
                    continue;
                }
                isComplete &= page.Complete;
                count += page.Images.Count;
                if (parsed.GetValue(json))
                    foreach (var image in page.Images)
                        await output.WriteLineAsync(System.Text.Json.JsonSerializer.Serialize(image, Json.ImageRow));
                else
                    Write(page.Images, output, withHead: count == page.Images.Count);
                if (page.Next is null)
                    break;
                path = $"images{page.Next[page.Next.IndexOf('?', StringComparison.Ordinal)..]}";
            }
            if (!parsed.GetValue(json))
                await output.WriteLineAsync($"{count} images{(isComplete ? "" : " so far")}");
            if (!isComplete)
                await parsed.InvocationConfiguration.Error.WriteLineAsync(
                    "warning: the server is still reading its store for the first time: there are more images");
            return ExitCode.Ok;
        }));
        return command;
    }

    private static Command Usage(AdminConnection server)
    {
        Option<bool> json = new("--json") { Description = "Write the answer as JSON." };
        var command = new Command("usage", "Show how much is stored, and how much room is left.") { json };
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(await api.GetTextAsync("usage", stop));
                return ExitCode.Ok;
            }
            var usage = await api.GetAsync("usage", Json.UsageAnswer, stop);
            await output.WriteLineAsync($"storage:      {usage.Storage}");
            await output.WriteLineAsync($"images:       {usage.Images} in {usage.Repositories} repositories");
            await output.WriteLineAsync($"size:         {Size(usage.Size)}, of which {Size(usage.Shared)} belong to two images or more");
            await output.WriteLineAsync($"limit:        {(usage.MaxSize is { } max ? $"{Size(max)} (proxy.max_size)" : "none")}");
            if (usage.Free is { } free)
                await output.WriteLineAsync($"disk:         {Size(free)} free");
            if (usage.Growth is { } growth)
            {
                var full = usage.FullAt is not { } at ? ""
                    : Line($"; at this rate there is no room left on {at.UtcDateTime:yyyy-MM-dd HH:mm}Z");
                await output.WriteLineAsync($"growth:       {(growth < 0 ? "-" : "")}{Size(Math.Abs(growth))} in a day{full}");
            }
            if (usage.Indexed is null)
                await output.WriteLineAsync("The server is still reading its store for the first time: there is more.");
            return ExitCode.Ok;
        }));
        return command;
    }

    private static Command Why(AdminConnection server)
    {
        Argument<string> image = new("NAME[:TAG]") { Description = "An image, or a repository." };
        Option<bool> json = new("--json") { Description = "Write the answer as JSON." };
        var command = new Command("why", "Show what the last requests for an image did, and why upstream was asked.") { image, json };
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var path = $"why{QueryString.Create("image", parsed.GetValue(image)!)}";
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(await api.GetTextAsync(path, stop));
                return ExitCode.Ok;
            }
            var why = await api.GetAsync(path, Json.Explained, stop);
            await output.WriteLineAsync($"{why.Name}{(why.Reference is null ? "" : $" {why.Reference}")}: {why.Source}");
            if (why.Reference is not null)
                await output.WriteLineAsync($"stored:  {why.Digest ?? "no"}");
            if (why.Next is not null)
                await output.WriteLineAsync($"next pull: {why.Next}");
            if (why.Held is not null)
                await output.WriteLineAsync($"held:    {why.Held}");
            await output.WriteLineAsync(Line($"pulls:   {why.Served}{Last(why.LastServed)}; and {why.Looks} HEAD requests"));
            if (why.Requests is [])
                await output.WriteLineAsync("No request went past the store since the server started.");
            foreach (var request in why.Requests)
            {
                await output.WriteLineAsync();
                await output.WriteLineAsync(Line(
                    $"{request.Time.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z {request.Asked} {request.Of} ({request.TookMs} ms)"));
                await output.WriteLineAsync($"  because:  {request.Why}");
                await output.WriteLineAsync($"  outcome:  {request.Outcome}");
                foreach (var line in request.Upstream)
                    await output.WriteLineAsync($"  upstream: {line}");
            }
            return ExitCode.Ok;
        }));
        return command;

        static string Last(DateTimeOffset? time) =>
            time is { } known ? string.Create(CultureInfo.InvariantCulture, $", the last {known.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z") : "";
    }

    private static Command Purge(AdminConnection server)
    {
        Argument<string> image = new("NAME[:TAG]") { Description = "An image, or a repository with all its images." };
        Option<bool> dryRun = new("--dry-run", "-d") { Description = "Only show what would be removed." };
        var command = new Command("purge", "Remove images that came from upstream. What was pushed stays.") { image, dryRun };
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var purged = await api.PostAsync(
                "purge", new PurgeRequest(parsed.GetValue(image)!, parsed.GetValue(dryRun)), Json.PurgeRequest, Json.PurgeAnswer, stop);
            foreach (var tag in purged.Tags)
                await output.WriteLineAsync($"tag      {purged.Name}:{tag}");
            foreach (var manifest in purged.Manifests)
                await output.WriteLineAsync($"manifest {manifest}");
            foreach (var layer in purged.Layers)
                await output.WriteLineAsync($"layer    {layer}");
            foreach (var kept in purged.Kept)
                await output.WriteLineAsync($"kept: {kept}");
            await output.WriteLineAsync(
                $"{(purged.DryRun ? "would remove" : "removed")} {purged.Tags.Count} tags, {purged.Manifests.Count} manifests and "
                + $"{purged.Layers.Count} layers; {(purged.Freed is { } bytes
                    ? $"{(purged.DryRun ? "would free" : "freed")} {Size(bytes)}"
                    : "another garbage collection runs, and the next one frees their bytes")}");
            return ExitCode.Ok;
        }));
        return command;
    }

    private static Command Release(AdminConnection server)
    {
        Argument<string> image = new("NAME@DIGEST") { Description = "The manifest that a policy's cooldown holds back." };
        var command = new Command("release", "Let tags move to a manifest at once, before its cooldown has ended.") { image };
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var answer = await api.PostAsync(
                "release", new ReleaseRequest(parsed.GetValue(image)!), Json.ReleaseRequest, Json.ReleaseAnswer, stop);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(
                $"{answer.Image} is released: if a tag names it at upstream, the tag moves to it here at the tag's next check");
            return ExitCode.Ok;
        }));
        return command;
    }

    private static Command Pin(AdminConnection server, string verb, string description)
    {
        Argument<string> image = new("NAME:TAG") { Description = "An image. It need not be stored yet." };
        var command = new Command(verb, description) { image };
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var answer = await api.PostAsync(verb, new PinRequest(parsed.GetValue(image)!), Json.PinRequest, Json.PinAnswer, stop);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(
                $"{answer.Image} {(answer.Changed ? "is" : "was")} {(answer.Pinned ? "pinned" : "not pinned")}"
                + (answer.Changed ? "" : " already"));
            return ExitCode.Ok;
        }));
        return command;
    }

    private static readonly ValueRule Bytes = ValueRules.Size(min: 0);

    private static Command Evict(AdminConnection server)
    {
        Option<bool> dryRun = new("--dry-run", "-d") { Description = "Only show what would go. The server itself evicts." };
        Option<string?> limit = new("--limit") { Description = "How much may stay, such as 40GiB; else proxy.max_size decides." };
        limit.Validators.Add(given =>
        {
            if (given.Tokens is [var token] && Bytes.Canonical(token.Value) is null)
                given.AddError($"--limit {token.Value}: {Bytes.Allowed} is required.");
        });
        Option<bool> layers = new("--layers") { Description = "Show the layers that would be deleted, too." };
        var command = new Command("evict", "Show which images an eviction would remove, the least recently used first.")
        {
            dryRun, limit, layers,
        };
        // A switch that is required counts as given without being there.
        command.Validators.Add(result =>
        {
            if (!result.GetValue(dryRun))
                result.AddError("evict needs --dry-run: the server itself evicts.");
        });
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var query = parsed.GetValue(limit) is { } most
                ? QueryString.Create("limit", Bytes.Canonical(most)!)
                : default;
            var plan = await api.GetAsync($"eviction{query}", Json.EvictionPlan, stop);
            foreach (var image in plan.Images)
            {
                var name = image.Name is null ? $"{image.Digest} (no image)"
                    : image.Tags is [] ? $"{image.Name}@{image.Digest}"
                    : string.Join(' ', image.Tags.Select(tag => $"{image.Name}:{tag}"));
                var later = image.NextDay ? " (within a day)" : "";
                await output.WriteLineAsync(Line(
                    $"{image.LastUsed.UtcDateTime:yyyy-MM-dd HH:mm}Z {Size(image.Frees),10} {name}{later}"));
                foreach (var layer in parsed.GetValue(layers) ? image.Layers : [])
                    await output.WriteLineAsync(Line($"{Size(layer.Size),28} {layer.Digest}"));
            }
            await output.WriteLineAsync(
                $"{Size(plan.Size)} of mirrored layers are stored, the limit is {Size(plan.Limit)}: evicting "
                + $"{plan.Count} images would free {Size(plan.Freed)}");
            if (plan is { Growth: { } growth, NextDay: { } day })
                await output.WriteLineAsync(
                    $"the images {(growth < 0 ? "shrank" : "grew")} by {Size(Math.Abs(growth))} in the last day: if it continues, "
                    + $"{day.Count} more will be evicted within a day, which frees {Size(day.Freed)}");
            return ExitCode.Ok;
        }));
        return command;
    }

    private static Command Reload(AdminConnection server)
    {
        var command = new Command("reload", "Let the server read its configuration again. A wrong file changes nothing.");
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            var answer = await api.PostAsync("reload", "", Json.String, Json.ReloadAnswer, stop);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(answer.Outcome);
            return ExitCode.Ok;
        }));
        return command;
    }

    private static void Write(IReadOnlyList<ImageRow> images, TextWriter output, bool withHead)
    {
        if (withHead)
            output.WriteLine(Line($"{"IMAGE",-44} {"SIZE",9} {"SHARED",9} {"PULLS",6} {"LAST USED",-17} {"KIND",-8} PLATFORMS"));
        foreach (var image in images)
        {
            var used = image.LastUsed is { } last ? last.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture) : "-";
            var name = image.Tag is { } tag ? $"{image.Name}:{tag}" : $"{image.Name}@{image.Digest}";
            var marks = $"{string.Join(' ', image.Platforms)}{(image.Whole ? "" : " (not whole)")}{(image.Pinned ? " (pinned)" : "")}";
            output.WriteLine(Line(
                $"{name,-44} {Size(image.Size),9} {Size(image.Shared),9} {image.Pulls,6} {used,-17} {image.Kind,-8} {marks}"));
        }
    }

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
