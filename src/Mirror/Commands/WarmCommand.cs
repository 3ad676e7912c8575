using System.CommandLine;
using System.Text.Json;
using Mirror.Admin;
using Mirror.Registry;
using Mirror.Web;
using Spectre.Console;

namespace Mirror.Commands;

/// <summary><c>warm</c>: has the running server fetch images before clients ask for them.</summary>
internal static class WarmCommand
{
    public static Command Create(AdminConnection server)
    {
        Argument<string[]> images = new("NAME")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = "An image: NAME, NAME:TAG or NAME@DIGEST.",
        };
        Option<FileInfo?> file = new("--file", "-f")
        {
            Description = "A file with an image on each line; # begins a comment.",
        };
        Option<string[]> platforms = new("--platform", "-p")
        {
            Description = $"A platform to fetch, such as linux/arm64, or {Warmer.EveryPlatform}; without it, {Warmer.DefaultPlatform}.",
        };
        var command = new Command("warm", "Fetch images ahead. What is stored is not fetched again: a list goes on where it stopped.")
        {
            images, file, platforms,
        };
        command.SetAction(server.Action(async (api, parsed, stop) =>
        {
            if (parsed.GetValue(platforms)?.FirstOrDefault(platform => !Warmer.IsPlatform(platform)) is { } wrong)
                throw new AdminServerException(
                    $"--platform {wrong}: write OS/ARCHITECTURE, such as linux/arm64, or {Warmer.EveryPlatform}", ExitCode.Usage);
            List<string> names = [.. parsed.GetValue(images) ?? [], .. Listed(parsed.GetValue(file))];
            if (names is [])
                throw new AdminServerException("name an image, or a file with images (-f)", ExitCode.Usage);
            var output = parsed.InvocationConfiguration.Output;
            var request = new WarmRequest(names, parsed.GetValue(platforms));
            var outcomes = output == Console.Out && !Console.IsOutputRedirected
                ? await AnsiConsole.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn())
                    .StartAsync(bars => WithBarsAsync(api, request, bars, stop))
                : await WithLinesAsync(api, request, output, stop);
            return Summarize(outcomes, names.Count, output);
        }));
        return command;
    }

    private static List<string> Listed(FileInfo? file)
    {
        try
        {
            List<string> names = [];
            foreach (var (number, line) in file is null ? [] : File.ReadAllLines(file.FullName).Index())
                if (line.Split('#')[0].Trim() is { Length: > 0 } name)
                {
                    RequireImage(name, $"{file}, line {number + 1}");
                    names.Add(name);
                }
            return names;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new AdminServerException($"--file: {failure.Message}", ExitCode.Usage);
        }
    }

    private static void RequireImage(string text, string place)
    {
        try
        {
            ImageName.Read(text);
        }
        catch (RegistryException wrong)
        {
            throw new AdminServerException($"{place}: {wrong.Message}", ExitCode.Usage);
        }
    }

    private static async Task<List<WarmProgress>> WithLinesAsync(
        AdminServer api, WarmRequest request, TextWriter output, CancellationToken stop)
    {
        List<WarmProgress> outcomes = [];
        await foreach (var progress in StepsAsync(api, request, stop))
            if (progress.State != WarmState.Running)
            {
                outcomes.Add(progress);
                await output.WriteLineAsync(LineOf(progress));
            }
        return outcomes;
    }

    private static async Task<List<WarmProgress>> WithBarsAsync(
        AdminServer api, WarmRequest request, ProgressContext bars, CancellationToken stop)
    {
        List<WarmProgress> outcomes = [];
        ProgressTask? bar = null;
        await foreach (var progress in StepsAsync(api, request, stop))
        {
            bar ??= bars.AddTask(Markup.Escape(progress.Image), maxValue: Math.Max(1, progress.Total));
            bar.MaxValue = Math.Max(1, progress.Total);
            bar.Value = progress.Done;
            if (progress.State == WarmState.Running)
                continue;
            outcomes.Add(progress);
            bar.Description = Markup.Escape(LineOf(progress));
            bar.StopTask();
            bar = null;
        }
        return outcomes;
    }

    private static async IAsyncEnumerable<WarmProgress> StepsAsync(
        AdminServer api, WarmRequest request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken stop)
    {
        using var response = await api.PostAsync("warm", request, AdminJson.Default.WarmRequest, stop);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(stop));
        while (await NextAsync() is { } line)
            yield return JsonSerializer.Deserialize(line, AdminJson.Default.WarmProgress)!;

        // A server that stops ends the answer early: the images that are missing then are counted as left.
        async ValueTask<string?> NextAsync()
        {
            try
            {
                return await reader.ReadLineAsync(stop);
            }
            catch (IOException)
            {
                return null;
            }
        }
    }

    private static string LineOf(WarmProgress progress) => progress.State switch
    {
        WarmState.Done => $"{progress.Image}: fetched {Words.Size(progress.Fetched)} of {Words.Size(progress.Total)}",
        WarmState.Present => $"{progress.Image}: was stored already",
        WarmState.Left => $"{progress.Image}: left for later: {progress.Reason}",
        _ => $"{progress.Image}: failed: {progress.Reason}",
    };

    private static int Summarize(List<WarmProgress> outcomes, int asked, TextWriter output)
    {
        var failed = outcomes.Count(outcome => outcome.State == WarmState.Failed);
        var stored = outcomes.Count(outcome => outcome.State is WarmState.Done or WarmState.Present);
        var left = asked - failed - stored;
        output.WriteLine(
            $"{stored} of {asked} images are stored, {Words.Size(outcomes.Sum(outcome => outcome.Fetched))} were fetched"
            + (failed > 0 ? $", {failed} failed" : "")
            + (left > 0 ? $", {left} are left: run this again later, it goes on from there" : ""));
        return failed > 0 ? ExitCode.Failed : left > 0 ? ExitCode.Unfinished : ExitCode.Ok;
    }
}
