using System.Text;
using Mirror.Maintenance;
using Spectre.Console;

namespace Mirror.Commands;

/// <summary>Shows how far a command is: with a bar on a terminal, and with a line every ten seconds elsewhere.</summary>
/// <param name="SoFar">What has been done, in words. Called from another thread.</param>
/// <param name="Share">From 0 to 1; null while that is not known.</param>
internal sealed record CommandProgress(Func<string> SoFar, Func<double?> Share)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    /// <summary>Runs the work of a command.</summary>
    /// <param name="work">Gets the writer for its output: above the bar, where there is one.</param>
    public async Task<T> RunAsync<T>(TimeProvider time, TextWriter output, TextWriter error, Func<TextWriter, Task<T>> work)
    {
        if (output != Console.Out || Console.IsOutputRedirected)
        {
            await using (new ProgressLines(time, error, SoFar))
                return await work(output);
        }
        return await AnsiConsole.Progress().AutoClear(true)
            .Columns(new SpinnerColumn(), new ProgressBarColumn(), new PercentageColumn(), new TaskDescriptionColumn())
            .StartAsync(async bars =>
            {
                var bar = bars.AddTask(Markup.Escape(SoFar()), maxValue: 1);
                await using var timer = time.CreateTimer(_ => Show(bar), null, Interval, Interval);
                return await work(new AboveTheBar());
            });
    }

    private void Show(ProgressTask bar)
    {
        bar.Description = Markup.Escape(SoFar());
        bar.IsIndeterminate = Share() is null;
        bar.Value = Share() ?? 0;
    }

    private sealed class AboveTheBar : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value) => AnsiConsole.WriteLine(value ?? "");

        public override Task WriteLineAsync(string? value)
        {
            WriteLine(value);
            return Task.CompletedTask;
        }
    }
}
